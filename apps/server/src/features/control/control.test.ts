import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { acceptDesired, acceptRelease, digestOf, signDocument } from '@bpfleet/trust';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { decodeBlobChunk, docErrorSchema } from '@bpfleet/wire';
import { AssignmentsApiModule } from '../assignments/index.js';
import { DebugApiModule } from '../debug/index.js';
import { DesiredWriter } from '../desired/index.js';
import { Devices } from '../devices/index.js';
import { ControlModule } from './index.js';
import { PresenceCheck } from './presence-check.js';
import { Refusals } from './refusals.js';
import { addDevice, addRelease, Bench, benchFacts } from './testing/bench.js';
import { assign, birth, mintNonce, settle, sync } from './testing/steps.js';

let database: TestDatabase;
let bench: Bench;

beforeAll(async () => {
  database = await createTestDatabase();
  const modules = [ControlModule, AssignmentsApiModule, DebugApiModule];
  bench = await Bench.start({ databaseUrl: database.url, modules });
  bench.link.connect();
});
afterAll(async () => {
  await bench?.stop();
  await database?.drop();
});
afterEach(async () => {
  await bench.prisma.assignment.updateMany({ data: { state: 'withdrawn' } });
});

describe('presence', () => {
  it('follows birth and will by connection number: a late will never marks a living device offline', async () => {
    const device = await addDevice(bench);
    await birth(bench, device, 1);
    await birth(bench, device, 2);
    await birth(bench, device, 1, { online: false });
    expect((await bench.get(Devices).get(device)).online).toBe(true);
    await birth(bench, device, 2, { online: false });
    expect((await bench.get(Devices).get(device)).online).toBe(false);
    await birth(bench, device, 1);
    expect((await bench.get(Devices).get(device)).online).toBe(false);
  });

  it('stores facts without what could forge a line', async () => {
    const device = await addDevice(bench);
    await birth(bench, device, 1, {
      facts: { ...benchFacts, hostname: 'edge\u0000\u001b[31m\n1\ud800', lsm: ['a\u202eb'] },
    });
    const { facts } = await bench.get(Devices).get(device);
    expect(facts).toMatchObject({ hostname: 'edge[31m 1\ufffd', lsm: ['ab'], kernelArch: 'arm64' });
  });

  it('assumes nothing at start: who stays silent when asked is offline, who answers is not', async () => {
    const [silent, alive] = [await addDevice(bench, { online: true }), await addDevice(bench, { online: true })];
    bench.link.clear();
    const askedAt = await bench.get(PresenceCheck).ask();
    expect(bench.link.sentTo(silent).map(({ topic }) => topic.kind)).toEqual(['cmd']);
    bench.clock.advance(1000);
    await sync(bench, alive);
    const gone = await bench.get(PresenceCheck).conclude(askedAt);
    expect(gone).toContain(silent);
    expect(gone).not.toContain(alive);
  });

  it('drops what is malformed, from nobody, or of no kind, and counts it', async () => {
    const device = await addDevice(bench);
    await birth(bench, device, 1);
    const before = bench.get(Refusals).snapshot();
    await bench.say(device, { kind: 'birth' }, Buffer.from('{"v":1'));
    await bench.say(device, { kind: 'sync' }, { v: 1, nonce: 'short' });
    await bench.say('dnobody000001', { kind: 'birth' }, { v: 1, online: true, connection: 1, bootId: 'x' });
    await bench.say(device, { kind: 'blob', digest: 'a'.repeat(64) }, Buffer.from('x'));
    const after = bench.get(Refusals).snapshot();
    const rise = (code: string) => (after[code] ?? 0) - (before[code] ?? 0);
    expect([rise('WIRE_MESSAGE'), rise('DEVICE_UNKNOWN')]).toEqual([3, 1]);
    expect((await bench.get(Devices).get(device)).online).toBe(true);
  });
});

describe('sync', () => {
  it('gives a new device its first desired state, and says so in a fresh that it can trust', async () => {
    const device = await addDevice(bench);
    const { fresh, desired, envelope } = await sync(bench, device);
    expect(desired).toMatchObject({ generation: 1, entries: [] });
    expect(fresh.digests.desired).toBe(digestOf(envelope as Buffer));
    expect(fresh).toMatchObject({ generation: 1, time: bench.clock.now().toISOString() });
  });

  it('sends only a fresh when the device has it all', async () => {
    const device = await addDevice(bench);
    const { fresh } = await sync(bench, device);
    const again = await sync(bench, device, { generation: 1, desired: fresh.digests.desired });
    expect(again.envelope).toBeUndefined();
    expect(again.fresh.generation).toBe(1);
  });

  it('goes on above what a device holds when the server was restored from an older backup', async () => {
    const device = await addDevice(bench);
    await sync(bench, device);
    const ahead = await sync(bench, device, { generation: 41, desired: 'e'.repeat(64) });
    expect(ahead.desired?.generation).toBe(42);
    const forked = await sync(bench, device, { generation: 42, desired: 'f'.repeat(64) });
    expect(forked.desired?.generation).toBe(43);
  });

  it('writes one generation when several replicas decide at once', async () => {
    const device = await addDevice(bench, { labels: { only: 'together' } });
    const { id } = await addRelease(bench, { probe: 'together' });
    await assign(bench, id, 'only=together');
    const writer = bench.get(DesiredWriter);
    const states = await Promise.all(Array.from({ length: 6 }, () => writer.refresh(device)));
    expect(states.filter((state) => state?.changed).length).toBeLessThanOrEqual(1);
    expect(new Set(states.map((state) => state?.digest)).size).toBe(1);
    expect(states[0]?.generation).toBe(1);
    expect(await bench.prisma.run.count({ where: { deviceId: device } })).toBe(1);
  });

  it('does not believe a generation that leaves no room above it', async () => {
    const device = await addDevice(bench);
    bench.link.clear();
    const held = { root: bench.keys.root.digest, desired: null, generation: Number.MAX_SAFE_INTEGER };
    await bench.say(device, { kind: 'sync' }, { v: 1, nonce: mintNonce(), held, streams: [] });
    expect(bench.link.sentTo(device)).toEqual([]);
  });
});

describe('get', () => {
  it('gives a release and its object in chunks; the device finds both to be what was signed', async () => {
    const device = await addDevice(bench);
    const release = await addRelease(bench, { probe: 'fetched' });
    bench.link.clear();
    await bench.say(device, { kind: 'get', rid: 'doc1' }, { v: 1, kind: 'release', digest: release.digest });
    const [answer] = bench.link.sentTo(device);
    expect(answer?.topic).toEqual({ kind: 'doc', rid: 'doc1' });
    const document = acceptRelease(bench.keys.root.document, release.digest, answer?.payload as Buffer);
    const { digest } = document.objects[0] as { digest: string };
    const parts: Buffer[] = [];
    for (let offset = 0; ;) {
      bench.link.clear();
      await bench.say(device, { kind: 'get', rid: 'b' }, { v: 1, kind: 'blob', digest, offset, bytesMax: 65_536 });
      const chunk = decodeBlobChunk(bench.link.sentTo(device)[0]?.payload as Buffer);
      parts.push(Buffer.from(chunk?.bytes ?? []));
      offset += chunk?.bytes.length ?? 0;
      if (!chunk || offset >= chunk.totalBytes) break;
    }
    expect(digestOf(Buffer.concat(parts))).toBe(release.objectDigest);
  });

  it('gives the root by version, and says what it does not have', async () => {
    const device = await addDevice(bench);
    const ask = async (message: object) => {
      bench.link.clear();
      await bench.say(device, { kind: 'get', rid: 'x' }, { v: 1, ...message });
      return bench.link.sentTo(device)[0]?.payload as Buffer;
    };
    expect(digestOf(await ask({ kind: 'root', version: 1 }))).toBe(bench.keys.root.digest);
    const unknown = docErrorSchema.parse(JSON.parse(String(await ask({ kind: 'root', version: 2 }))));
    expect(unknown.error.code).toBe('DOCUMENT_UNKNOWN');
    const { digest, objectDigest } = await addRelease(bench, { probe: 'not_a_blob' });
    expect(await ask({ kind: 'blob', digest, offset: 0, bytesMax: 10 })).toHaveLength(0);
    expect(await ask({ kind: 'blob', digest: objectDigest, offset: 2 ** 40, bytesMax: 10 })).toHaveLength(0);
    expect(String(await ask({ kind: 'release', digest: objectDigest }))).toContain('DOCUMENT_UNKNOWN');
  });
});

describe('outbox', () => {
  it('keeps what the broker could not take, in order, and only the newest desired state', async () => {
    const device = await addDevice(bench, { labels: { only: 'outbox' } });
    const first = await addRelease(bench, { probe: 'out_a' });
    const second = await addRelease(bench, { probe: 'out_b' });
    bench.link.disconnect();
    bench.link.clear();
    await assign(bench, first.id, 'only=outbox');
    await settle(bench);
    await assign(bench, second.id, 'only=outbox');
    await settle(bench);
    expect(bench.link.published).toEqual([]);
    expect(await bench.prisma.outbox.count({ where: { deviceId: device } })).toBe(1);
    bench.link.connect();
    await settle(bench);
    expect(await bench.prisma.outbox.count({ where: { deviceId: device } })).toBe(0);
    const [sent] = bench.link.sentTo(device);
    const document = acceptDesired(bench.keys.root.document, device, undefined, sent?.payload as Buffer);
    expect(document).toMatchObject({ generation: 2, entries: [{ probe: 'out_a' }, { probe: 'out_b' }] });
  });

  it('signs with the director’s key and no other', () => {
    const document = { type: 'desired', device: 'dother0000001', generation: 1, entries: [] } as const;
    const forged = signDocument('desired', { ...document, entries: [] }, bench.keys.release);
    expect(() => acceptDesired(bench.keys.root.document, 'dother0000001', undefined, forged)).toThrow(
      'valid signature',
    );
  });
});
