import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { digestOf } from '@bpfleet/trust';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { commandSchema, encodeUploadChunk, parseMessage, type Command } from '@bpfleet/wire';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { ControlModule } from '../../control/index.js';
import { Refusals } from '../../control/refusals.js';
import { addDevice, Bench, benchFacts } from '../../control/testing/bench.js';
import { birth } from '../../control/testing/steps.js';
import { DEVICE_BTFS_MAX, KernelBtfs } from '../btf/kernel-btfs.js';
import { KernelList } from '../kernel-list.js';
import { foreignBtf } from '../testing/kernel-btf.js';
import { ANSWER_WITHIN_MS, BtfUploads, SILENCE_MAX, UPLOADS_AT_ONCE_MAX } from './btf-uploads.js';
import { UPLOAD_MS_MAX } from './upload-store.js';

const btf = foreignBtf('arm64-6.1');
const digest = digestOf(btf);
let database: TestDatabase;
let bench: Bench;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = await Bench.start({ databaseUrl: database.url, modules: [ControlModule] });
  bench.link.connect();
});
afterAll(async () => {
  await bench?.stop();
  await database?.drop();
});
beforeEach(async () => {
  await bench.prisma.btfUpload.deleteMany();
  await bench.prisma.kernelBuild.deleteMany();
  await bench.prisma.kernelBtf.deleteMany();
  await bench.prisma.device.deleteMany();
  bench.link.clear();
});

const round = () => bench.get(BtfUploads).round();
let connections = 0;

async function deviceWith(btfDigest: string | null): Promise<string> {
  const device = await addDevice(bench);
  await birth(bench, device, ++connections, { facts: { ...benchFacts, btfDigest } });
  return device;
}

/** What this device was asked for and has not answered. */
function askedOf(device: string): { cid: string; blob: NonNullable<Command['blob']> }[] {
  return bench.link.sentTo(device).flatMap(({ topic, payload }) => {
    if (topic.kind !== 'cmd') return [];
    const { blob } = parseMessage(commandSchema, payload);
    return blob ? [{ cid: topic.cid, blob }] : [];
  });
}

async function give(device: string, bytes: Buffer, offset: number): Promise<void> {
  bench.link.clear();
  const payload = encodeUploadChunk(offset, bytes.length, bytes.subarray(offset));
  await bench.say(device, { kind: 'blob', digest }, payload);
}

/** Answers each question until there is no other, as an agent does; `stopAfter` chunks at most. */
async function answerAll(device: string, bytes = btf, stopAfter = Number.POSITIVE_INFINITY): Promise<number> {
  let given = 0;
  for (let [asked] = askedOf(device); asked && given < stopAfter; [asked] = askedOf(device)) {
    await give(device, bytes, asked.blob.offset);
    given += 1;
  }
  return given;
}

/** As many as devices may give, each of a build that somebody named. */
async function fillUp(): Promise<void> {
  const given = Array.from({ length: DEVICE_BTFS_MAX }, (_, at) => ({ at, digest: `full-${at}` }));
  const row = { bytes: 1, pointerBits: 64, source: 'device' as const, addedBy: 'another' };
  await bench.prisma.kernelBtf.createMany({ data: given.map(({ digest: one }) => ({ ...row, digest: one })) });
  await bench.prisma.kernelBuild.createMany({
    data: given.map(({ at, digest: one }) => ({
      buildId: `build-${at}`,
      btfDigest: one,
      kernelArch: 'arm64',
      addedBy: 'kari',
    })),
  });
}

const upload = () => bench.prisma.btfUpload.findUnique({ where: { digest } });

describe('a BTF that the server does not know', () => {
  it('is asked of one device, chunk by chunk, and kept; then nobody is asked again', async () => {
    const [one, other] = [await deviceWith(digest), await deviceWith(digest)];
    await round();
    await round();
    const asked = [...askedOf(one), ...askedOf(other)];
    expect(asked).toEqual([{ cid: `btf-${digest}`, blob: { digest, offset: 0 } }]);
    const giver = askedOf(one).length === 1 ? one : other;
    expect(await answerAll(giver)).toBeGreaterThan(30);
    expect(await bench.prisma.kernelBtf.findUnique({ where: { digest } })).toMatchObject({
      bytes: btf.length,
      pointerBits: 64,
      source: 'device',
      addedBy: giver,
    });
    expect(digestOf((await bench.get(BlobStore).get(digest)) ?? Buffer.alloc(0))).toBe(digest);
    expect((await bench.get(KernelBtfs).types(digest))?.btf.findByName('struct', 'task_struct')).toBeDefined();
    expect([await bench.prisma.btfUpload.count(), await bench.prisma.btfUploadChunk.count()]).toEqual([0, 0]);
    await deviceWith(digest);
    await round();
    expect(await bench.prisma.btfUpload.count()).toBe(0);
  });

  it('goes on where it stopped when the device comes back', async () => {
    const device = await deviceWith(digest);
    await round();
    await answerAll(device, btf, 5);
    const before = await upload();
    await birth(bench, device, connections, { online: false });
    bench.clock.advance(ANSWER_WITHIN_MS);
    bench.link.clear();
    await round();
    expect(askedOf(device)).toEqual([]);
    await birth(bench, device, ++connections, { facts: { ...benchFacts, btfDigest: digest } });
    await round();
    expect(askedOf(device).map(({ blob }) => blob.offset)).toEqual([before?.receivedBytes]);
    await answerAll(device);
    expect(await bench.get(KernelBtfs).has(digest)).toBe(true);
  });

  it('is asked again of a silent device, then of another one, from its start', async () => {
    const [first, second] = [await deviceWith(digest), await deviceWith(digest)];
    await round();
    const [silent, other] = askedOf(first).length > 0 ? [first, second] : [second, first];
    await answerAll(silent, btf, 2);
    bench.link.clear();
    for (let time = 1; time < SILENCE_MAX; time++) {
      bench.clock.advance(ANSWER_WITHIN_MS);
      await round();
      expect([askedOf(silent).length, askedOf(other).length]).toEqual([time, 0]);
    }
    bench.clock.advance(ANSWER_WITHIN_MS);
    await round();
    expect(askedOf(other).map(({ blob }) => blob.offset)).toEqual([0]);
    // What the first one says now is late, and was not asked for.
    await bench.say(silent, { kind: 'blob', digest }, encodeUploadChunk(0, btf.length, btf));
    expect((await upload())?.receivedBytes).toBe(0);
  });

  it('is asked of another device when an agent does not know the command', async () => {
    const [first, second] = [await deviceWith(digest), await deviceWith(digest)];
    await round();
    const [old, other] = askedOf(first).length > 0 ? [first, second] : [second, first];
    const cid = askedOf(old)[0]?.cid ?? '';
    await bench.say(old, { kind: 'res', cid }, { v: 1, ok: false, error: { code: 'COMMAND_UNKNOWN', message: 'no' } });
    bench.link.clear();
    await round();
    expect([askedOf(old).length, askedOf(other).length]).toEqual([0, 1]);
  });

  it('is not believed from a device whose bytes have another digest, which is not asked again', async () => {
    const liar = await deviceWith(digest);
    await round();
    const bent = Buffer.from(btf);
    bent[1_000_000] = (bent[1_000_000] ?? 0) ^ 1;
    await answerAll(liar, bent);
    expect(await upload()).toMatchObject({ state: 'wanted', lied: [liar], receivedBytes: 0 });
    expect(await bench.prisma.btfUploadChunk.count()).toBe(0);
    await birth(bench, liar, ++connections, { facts: { ...benchFacts, btfDigest: digest } });
    const honest = await deviceWith(digest);
    bench.link.clear();
    await round();
    expect(askedOf(liar)).toEqual([]);
    await answerAll(honest);
    expect(await bench.get(KernelBtfs).has(digest)).toBe(true);
  });

  it('is refused for good, and says why, when it is no BTF of a kernel', async () => {
    const nonsense = Buffer.from('no BTF at all, but it has the digest that it should have');
    const own = digestOf(nonsense);
    const device = await deviceWith(own);
    await round();
    await bench.say(device, { kind: 'blob', digest: own }, encodeUploadChunk(0, nonsense.length, nonsense));
    await deviceWith(own);
    bench.link.clear();
    await round();
    expect(bench.link.published).toEqual([]);
    expect(await bench.prisma.btfUpload.findUnique({ where: { digest: own } })).toMatchObject({
      state: 'refused',
      reason: expect.stringMatching(/^it is damaged, or no BTF: /),
    });
  });

  it('waits while as many as are kept are in use, asks nobody meanwhile, and is fetched when one goes', async () => {
    await fillUp();
    const device = await deviceWith(digest);
    for (let time = 0; time < 3; time++) await round();
    expect(askedOf(device)).toEqual([]);
    const reason = 'devices have given as many as are kept, and all are in use';
    expect(await upload()).toMatchObject({ state: 'wanted', reason });
    expect((await bench.get(KernelList).kernelOf(device))?.btf).toMatchObject({ state: 'wanted', reason });
    await bench.prisma.kernelBuild.deleteMany({ where: { buildId: 'build-7' } });
    await round();
    await answerAll(device);
    expect(await bench.get(KernelBtfs).has(digest)).toBe(true);
    expect([await upload(), await bench.prisma.kernelBtf.count()]).toEqual([null, DEVICE_BTFS_MAX]);
  });

  it('is wanted still when the last place was taken while it was on its way', async () => {
    const device = await deviceWith(digest);
    await round();
    await fillUp();
    await answerAll(device);
    expect(await upload()).toMatchObject({ state: 'wanted', reason: expect.any(String), receivedBytes: 0 });
    expect(await bench.prisma.btfUploadChunk.count()).toBe(0);
    bench.link.clear();
    await round();
    expect(askedOf(device)).toEqual([]);
    await bench.prisma.kernelBuild.deleteMany({ where: { buildId: 'build-0' } });
    await round();
    await answerAll(device);
    expect(await bench.get(KernelBtfs).has(digest)).toBe(true);
  });

  it('is fetched although two devices keep the places by giving a byte at a time', async () => {
    const slow = [await deviceWith('1'.repeat(64)), await deviceWith('2'.repeat(64))];
    const honest = await deviceWith(digest);
    await round();
    expect([...slow.map((device) => askedOf(device).length), askedOf(honest).length]).toEqual([1, 1, 0]);
    for (const [at, device] of slow.entries()) {
      const own = String(at + 1).repeat(64);
      await bench.say(device, { kind: 'blob', digest: own }, encodeUploadChunk(0, 5_000_000, Buffer.alloc(1)));
      expect(await bench.prisma.btfUpload.findUnique({ where: { digest: own } })).toMatchObject({
        state: 'wanted',
        tried: [device],
        receivedBytes: 0,
        reason: expect.stringContaining('so small'),
      });
    }
    bench.link.clear();
    await round();
    await answerAll(honest);
    expect(await bench.get(KernelBtfs).has(digest)).toBe(true);
  });

  it('is given up when it takes two hours, and others come first when the device begins again', async () => {
    const slow = [await deviceWith('1'.repeat(64)), await deviceWith('2'.repeat(64))];
    await round();
    bench.clock.advance(1000);
    const honest = await deviceWith(digest);
    const part = Buffer.alloc(16 * 1024);
    const say = (at: number, offset: number) =>
      bench.say(
        slow[at] as string,
        { kind: 'blob', digest: String(at + 1).repeat(64) },
        encodeUploadChunk(offset, 5_000_000, part),
      );
    for (const at of [0, 1]) await say(at, 0);
    bench.clock.advance(UPLOAD_MS_MAX);
    for (const at of [0, 1]) await say(at, part.length);
    const rows = await bench.prisma.btfUpload.findMany({ where: { digest: { not: digest } } });
    expect(rows.map(({ state, receivedBytes }) => [state, receivedBytes])).toEqual(
      Array(2).fill(['wanted', part.length]),
    );
    for (const [at, device] of slow.entries()) {
      await birth(bench, device, ++connections, { facts: { ...benchFacts, btfDigest: String(at + 1).repeat(64) } });
    }
    bench.link.clear();
    await round();
    expect(askedOf(honest)).toHaveLength(1);
    await answerAll(honest);
    expect(await bench.get(KernelBtfs).has(digest)).toBe(true);
  });

  it('is fetched beside few others, so that a fleet that comes back does not fill the link', async () => {
    const devices = await Promise.all(Array.from({ length: 5 }, (_, i) => deviceWith(String(i).repeat(64))));
    await round();
    expect(devices.filter((device) => askedOf(device).length > 0)).toHaveLength(UPLOADS_AT_ONCE_MAX);
  });

  it('is not wanted any more when no device has it', async () => {
    const device = await deviceWith(digest);
    await birth(bench, device, ++connections, { facts: { ...benchFacts, btfDigest: null } });
    await round();
    expect(await upload()).toBeNull();
  });

  it('takes no part that is out of order, of another total, or that nobody asked for', async () => {
    const [asked, other] = [await deviceWith(digest), await deviceWith(null)];
    await round();
    const unasked = () => bench.get(Refusals).snapshot()['BLOB_UNASKED'] ?? 0;
    const before = unasked();
    await give(asked, btf, 1000);
    await give(other, btf, 0);
    await bench.say(asked, { kind: 'blob', digest: 'f'.repeat(64) }, encodeUploadChunk(0, btf.length, btf));
    await give(asked, btf, 0);
    await bench.say(asked, { kind: 'blob', digest }, encodeUploadChunk(131_072, btf.length + 1, btf.subarray(131_072)));
    expect(unasked() - before).toBe(4);
    // Every replica hears a chunk: the second time changes nothing.
    await give(asked, btf, 0);
    expect(unasked() - before).toBe(4);
    expect(await upload()).toMatchObject({ state: 'asking', receivedBytes: 131_072 });
  });

  it('is put together by whoever is there when the replica that had it whole has ended', async () => {
    const device = await deviceWith(digest);
    await round();
    const half = 131_072;
    await bench.prisma.btfUploadChunk.createMany({
      data: [
        { digest, offset: 0, bytes: Uint8Array.from(btf.subarray(0, half)) },
        { digest, offset: half, bytes: Uint8Array.from(btf.subarray(half)) },
      ],
    });
    await bench.prisma.btfUpload.update({
      where: { digest },
      data: { receivedBytes: btf.length, totalBytes: btf.length, deviceId: device },
    });
    bench.clock.advance(ANSWER_WITHIN_MS);
    await round();
    expect(await bench.get(KernelBtfs).has(digest)).toBe(true);
  });
});
