import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { acceptDesired, acceptFresh, acceptRelease, digestOf, signDocument } from '@bpfleet/trust';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { decodeBlobChunk, docErrorSchema, type RunReport } from '@bpfleet/wire';
import { AssignmentsApiModule } from '../assignments/index.js';
import { Assignments } from '../assignments/assignments.service.js';
import { DebugApiModule } from '../debug/index.js';
import { DebugRuns } from '../debug/debug-runs.service.js';
import { DesiredWorker } from '../desired/desired-worker.js';
import { OutboxSender } from '../desired/outbox-sender.js';
import { Devices } from '../devices/index.js';
import { Runs } from '../runs/index.js';
import { ControlModule } from './index.js';
import { PresenceCheck } from './presence-check.js';
import { Refusals } from './refusals.js';
import { addDevice, addRelease, Bench, benchFacts } from './testing/bench.js';

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

const nonce = () => randomBytes(16).toString('hex');
/** What the workers do when they are woken, done to its end. */
async function settle(): Promise<void> {
  while (await bench.get(DesiredWorker).refreshDue());
  while (await bench.get(OutboxSender).sendSome());
}
const birth = (device: string, connection: number, online = true, facts: object | undefined = benchFacts) =>
  bench.say(device, { kind: 'birth' }, { v: 1, online, connection, bootId: 'boot', ...(online ? { facts } : {}) });

interface Held {
  root: string;
  desired: string | null;
  generation: number;
}
/** A device that syncs and checks what it gets, as an agent would. */
async function sync(device: string, given: Partial<Held> = {}) {
  const held: Held = { root: bench.keys.root.digest, desired: null, generation: 0, ...given };
  const asked = nonce();
  bench.link.clear();
  await bench.say(device, { kind: 'sync' }, { v: 1, nonce: asked, held, streams: [] });
  const sent = bench.link.sentTo(device);
  const fresh = sent.filter(({ topic }) => topic.kind === 'fresh');
  expect(fresh).toHaveLength(1);
  const root = bench.keys.root.document;
  const document = acceptFresh(root, device, asked, fresh[0]?.payload as Buffer);
  const envelope = sent.find(({ topic }) => topic.kind === 'desired')?.payload;
  return { fresh: document, envelope, desired: envelope && acceptDesired(root, device, undefined, envelope) };
}
const assign = (releaseId: string, selector: string, params = {}) =>
  bench.get(Assignments).create('alice', { releaseId, selector, params });
const report = (run: string, release: string, state: RunReport['state'], revision: number, more = {}) => ({
  v: 1,
  run,
  release,
  state,
  revision,
  ...more,
});

describe('presence', () => {
  it('follows birth and will by connection number: a late will never marks a living device offline', async () => {
    const device = await addDevice(bench);
    await birth(device, 1);
    await birth(device, 2);
    await birth(device, 1, false);
    expect((await bench.get(Devices).get(device)).online).toBe(true);
    await birth(device, 2, false);
    expect((await bench.get(Devices).get(device)).online).toBe(false);
    await birth(device, 1);
    expect((await bench.get(Devices).get(device)).online).toBe(false);
  });

  it('stores facts without what could forge a line', async () => {
    const device = await addDevice(bench);
    await birth(device, 1, true, { ...benchFacts, hostname: 'edge\u0000\u001b[31m\n1\ud800', lsm: ['a\u202eb'] });
    const { facts } = await bench.get(Devices).get(device);
    expect(facts).toMatchObject({ hostname: 'edge[31m 1\ufffd', lsm: ['ab'], kernelArch: 'arm64' });
  });

  it('assumes nothing at start: who stays silent when asked is offline, who answers is not', async () => {
    const [silent, alive] = [await addDevice(bench, { online: true }), await addDevice(bench, { online: true })];
    bench.link.clear();
    const askedAt = await bench.get(PresenceCheck).ask();
    expect(bench.link.sentTo(silent).map(({ topic }) => topic.kind)).toEqual(['cmd']);
    bench.clock.advance(1000);
    await sync(alive);
    const gone = await bench.get(PresenceCheck).conclude(askedAt);
    expect(gone).toContain(silent);
    expect(gone).not.toContain(alive);
  });

  it('drops what is malformed, from nobody, or of no kind, and counts it', async () => {
    const device = await addDevice(bench);
    await birth(device, 1);
    const before = bench.get(Refusals).snapshot();
    await bench.say(device, { kind: 'birth' }, Buffer.from('{"v":1'));
    await bench.say(device, { kind: 'sync' }, { v: 1, nonce: 'short' });
    await bench.say('dnobody000001', { kind: 'birth' }, { v: 1, online: true, connection: 1, bootId: 'x' });
    await bench.say(device, { kind: 'blob', digest: 'a'.repeat(64) }, Buffer.from('x'));
    const after = bench.get(Refusals).snapshot();
    const rise = (code: string) => (after[code] ?? 0) - (before[code] ?? 0);
    expect([rise('WIRE_MESSAGE'), rise('DEVICE_UNKNOWN'), rise('WIRE_TOPIC')]).toEqual([2, 1, 1]);
    expect((await bench.get(Devices).get(device)).online).toBe(true);
  });
});

describe('sync', () => {
  it('gives a new device its first desired state, and says so in a fresh that it can trust', async () => {
    const device = await addDevice(bench);
    const { fresh, desired, envelope } = await sync(device);
    expect(desired).toMatchObject({ generation: 1, entries: [] });
    expect(fresh.digests.desired).toBe(digestOf(envelope as Buffer));
    expect(fresh).toMatchObject({ generation: 1, time: bench.clock.now().toISOString() });
  });

  it('sends only a fresh when the device has it all', async () => {
    const device = await addDevice(bench);
    const { fresh } = await sync(device);
    const again = await sync(device, { generation: 1, desired: fresh.digests.desired });
    expect(again.envelope).toBeUndefined();
    expect(again.fresh.generation).toBe(1);
  });

  it('goes on above what a device holds when the server was restored from an older backup', async () => {
    const device = await addDevice(bench);
    await sync(device);
    const ahead = await sync(device, { generation: 41, desired: 'e'.repeat(64) });
    expect(ahead.desired?.generation).toBe(42);
    const forked = await sync(device, { generation: 42, desired: 'f'.repeat(64) });
    expect(forked.desired?.generation).toBe(43);
  });

  it('does not believe a generation that leaves no room above it', async () => {
    const device = await addDevice(bench);
    bench.link.clear();
    const held = { root: bench.keys.root.digest, desired: null, generation: Number.MAX_SAFE_INTEGER };
    await bench.say(device, { kind: 'sync' }, { v: 1, nonce: nonce(), held, streams: [] });
    expect(bench.link.sentTo(device)).toEqual([]);
  });
});

describe('assignments', () => {
  it('reach the devices that match, now and later, through the outbox', async () => {
    const { id, digest } = await addRelease(bench, { probe: 'reach_a' });
    const oslo = await addDevice(bench, { labels: { site: 'oslo' }, online: true });
    const bergen = await addDevice(bench, { labels: { site: 'bergen' } });
    bench.link.clear();
    const assignment = await assign(id, 'site=oslo', {});
    await settle();
    expect(assignment.devices).toBe(1);
    const sent = bench.link.sentTo(oslo).filter(({ topic }) => topic.kind === 'desired');
    const desired = acceptDesired(bench.keys.root.document, oslo, undefined, sent.at(-1)?.payload as Buffer);
    expect(desired.entries).toMatchObject([{ release: digest, probe: 'reach_a', leaseSeconds: 14 * 86_400 }]);
    expect((await bench.get(Assignments).get(assignment.id)).runs).toEqual({ OFFERED: 1 });
    expect(bench.link.sentTo(bergen)).toEqual([]);

    await bench.get(Devices).update(bergen, { labels: { site: 'oslo' } });
    await settle();
    expect((await bench.get(Assignments).get(assignment.id)).runs).toEqual({ OFFERED: 1, DEFERRED: 1 });
    await sync(bergen);
    expect((await bench.get(Assignments).get(assignment.id)).runs).toEqual({ OFFERED: 2 });
  });

  it('reach a device when it first says what it is', async () => {
    const { id } = await addRelease(bench, { probe: 'reach_b' });
    const assignment = await assign(id, 'kernel>=6.1 and arch=arm64');
    const device = await addDevice(bench);
    await birth(device, 1);
    await settle();
    expect(await bench.get(Runs).list({ device, limit: 10 })).toMatchObject([
      { intent: assignment.id, state: 'OFFERED' },
    ]);
  });

  it('give way to a newer one of the same probe, and come back when that is withdrawn', async () => {
    const device = await addDevice(bench, { labels: { only: 'precedence' } });
    const first = await addRelease(bench, { probe: 'reach_c', version: '1.0.0' });
    const second = await addRelease(bench, { probe: 'reach_c', version: '2.0.0' });
    await assign(first.id, 'only=precedence');
    await settle();
    bench.clock.advance(1000);
    const newer = await assign(second.id, 'only=precedence');
    await settle();
    const states = async () =>
      (await bench.get(Runs).list({ device, limit: 10 })).map(({ version, state }) => `${version} ${state}`).sort();
    expect(await states()).toEqual(['1.0.0 SUPERSEDED', '2.0.0 DEFERRED']);
    await bench.get(Assignments).withdraw(newer.id);
    await settle();
    expect(await states()).toEqual(['1.0.0 DEFERRED', '1.0.0 SUPERSEDED', '2.0.0 SUPERSEDED']);
    const { desired } = await sync(device);
    expect(desired).toMatchObject({ generation: 3, entries: [{ version: '1.0.0' }] });
  });

  it('write no generation when nothing changes, and keep the run when only the intent does', async () => {
    const device = await addDevice(bench, { labels: { only: 'calm' } });
    const { id } = await addRelease(bench, { probe: 'reach_d' });
    await assign(id, 'only=calm');
    await settle();
    const [run] = await bench.get(Runs).list({ device, limit: 10 });
    bench.clock.advance(1000);
    const again = await assign(id, 'only=calm');
    await settle();
    const after = await bench.get(Runs).list({ device, limit: 10 });
    expect(after).toMatchObject([{ id: run?.id, intent: again.id }]);
    await bench.get(Devices).update(device, { name: 'another name' });
    await settle();
    expect((await bench.get(Devices).get(device)).desiredGeneration).toBe(2);
  });

  it('refuse a selector that cannot be read, a parameter the probe does not have, an unknown release', async () => {
    const { id } = await addRelease(bench, { probe: 'reach_e', extra: 'params:\n  limit: { default: 1, max: 10 }\n' });
    await expect(assign(id, 'site=')).rejects.toMatchObject({
      code: 'SELECTOR_INVALID',
      status: 422,
      details: { column: 6 },
    });
    await expect(assign(id, 'all', { limit: 11 })).rejects.toMatchObject({ code: 'PARAM_INVALID', status: 422 });
    await expect(assign(id, 'all', { other: 1 })).rejects.toMatchObject({ code: 'PARAM_INVALID' });
    await expect(assign('nothing', 'all')).rejects.toMatchObject({ code: 'RELEASE_UNKNOWN', status: 404 });
  });
});

describe('runs', () => {
  async function oneRun() {
    const release = await addRelease(bench, { probe: `run_${randomBytes(4).toString('hex')}` });
    const device = await addDevice(bench, { online: true, labels: { only: release.id } });
    await assign(release.id, `only="${release.id}"`);
    await settle();
    const [run] = await bench.get(Runs).list({ device, limit: 1 });
    const say = (state: RunReport['state'], revision: number, more = {}) =>
      bench.say(
        device,
        { kind: 'run', run: run?.id as string },
        report(run?.id as string, release.digest, state, revision, more),
      );
    return { release, device, id: run?.id as string, say, get: () => bench.get(Runs).get(run?.id as string) };
  }
  const stats = (runCount: number) => ({
    stats: {
      runCount,
      runTimeNs: 5,
      measured: true,
      mapBytes: 1,
      drops: { kernel: 0, rate: 0, spool: 0 },
      eventsSeen: 2,
    },
  });

  it('follow the device, remember how, and keep the newest counters', async () => {
    const { say, get } = await oneRun();
    await say('ACCEPTED', 1);
    await say('ATTACHED', 3, { ...stats(7), hold: 'pinned' });
    await say('FETCHING', 2);
    await say('ATTACHED', 3, stats(9));
    const run = await get();
    expect(run).toMatchObject({ state: 'ATTACHED', hold: 'pinned', stats: { runCount: 9 }, error: null });
    expect(run.attachedAt).toBe(bench.clock.now().toISOString());
    expect(run.history.map(({ to }) => to)).toEqual(['PENDING', 'OFFERED', 'ACCEPTED', 'ATTACHED']);
  });

  it('carry a refusal with the verifier’s log, several lines and no terminal tricks', async () => {
    const { say, get } = await oneRun();
    const error = { code: 'VERIFIER_REFUSED', message: 'R1 type=\u001bscalar', log: '0: r1 = 0\n1: \u0000exit\n' };
    await say('REJECTED', 1, { error });
    expect(await get()).toMatchObject({
      state: 'REJECTED',
      error: { code: 'VERIFIER_REFUSED', message: 'R1 type=scalar', log: '0: r1 = 0\n1: exit\n' },
    });
  });

  it('take the whole picture from `reported`, and ignore runs that are not the device’s', async () => {
    const { device, id, release, get } = await oneRun();
    const other = await oneRun();
    const agent = { rssBytes: 1, spoolBytes: 2, spoolBatches: 3, uptimeSeconds: 4 };
    const runs = [
      report(id, release.digest, 'ATTACHED', 2, stats(1)),
      report(other.id, other.release.digest, 'FAILED', 9),
    ];
    await bench.say(device, { kind: 'reported' }, { v: 1, generation: 1, desired: null, runs, agent });
    expect((await get()).state).toBe('ATTACHED');
    expect((await other.get()).state).toBe('OFFERED');
    expect(await bench.get(Devices).get(device)).toMatchObject({
      reportedGeneration: 1,
      agent,
      runs: { attached: 1, total: 1 },
    });
  });

  it('send the desired state again to a device that stays behind', async () => {
    const { device } = await oneRun();
    const agent = { rssBytes: 1, spoolBytes: 2, spoolBatches: 3, uptimeSeconds: 4 };
    const behind = () =>
      bench.say(device, { kind: 'reported' }, { v: 1, generation: 0, desired: null, runs: [], agent });
    bench.link.clear();
    await behind();
    expect(bench.link.sentTo(device)).toEqual([]);
    bench.clock.advance(30_000);
    await behind();
    expect(bench.link.sentTo(device).map(({ topic }) => topic.kind)).toEqual(['desired']);
  });

  it('apply each revision once when two replicas hear the same reports at the same time', async () => {
    const { device, id, release, get } = await oneRun();
    const { RunReports } = await import('../runs/index.js');
    const reports = bench.get(RunReports);
    const one = report(id, release.digest, 'ATTACHED', 5) as RunReport;
    const outcomes = await Promise.all([
      reports.apply(device, one),
      reports.apply(device, one),
      reports.apply(device, one),
    ]);
    expect(outcomes.filter(({ outcome }) => outcome === 'applied')).toHaveLength(1);
    expect((await get()).history.filter(({ to }) => to === 'ATTACHED')).toHaveLength(1);
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

describe('debug runs', () => {
  it('run beside the assignment, end on the device by its clock and on the server by ours', async () => {
    const device = await addDevice(bench, { online: true, labels: { only: 'debug' } });
    const { id, digest } = await addRelease(bench, { probe: 'debugged' });
    await assign(id, 'only=debug');
    const run = await bench.get(DebugRuns).create('bob', { device, releaseId: id, minutes: 10, params: {} });
    expect(run).toMatchObject({ kind: 'debug', state: 'PENDING', intent: 'bob' });
    await settle();
    const { desired } = await sync(device);
    expect(desired?.entries).toMatchObject([
      { reason: { kind: 'assignment' } },
      { run: run.id, reason: { kind: 'debug' }, endsAfterSeconds: 600, leaseSeconds: 600 },
    ]);
    await bench.say(device, { kind: 'run', run: run.id }, report(run.id, digest, 'ATTACHED', 1));
    bench.clock.advance(600_000);
    await settle();
    const ended = await bench.get(Runs).get(run.id);
    expect(ended).toMatchObject({ state: 'ENDED', endedAt: bench.clock.now().toISOString() });
    expect((await sync(device)).desired?.entries).toHaveLength(1);
  });

  it('leave the desired state when the device says that it is over', async () => {
    const device = await addDevice(bench, { online: true });
    const { id, digest } = await addRelease(bench, { probe: 'debug_done' });
    const run = await bench.get(DebugRuns).create('bob', { device, releaseId: id, minutes: 60, params: {} });
    await settle();
    await bench.say(device, { kind: 'run', run: run.id }, report(run.id, digest, 'ATTACHED', 1));
    await bench.say(device, { kind: 'run', run: run.id }, report(run.id, digest, 'ENDED', 2));
    await settle();
    expect((await sync(device)).desired?.entries).toEqual([]);
  });

  it('stop when told to, once', async () => {
    const device = await addDevice(bench, { online: true });
    const { id, digest } = await addRelease(bench, { probe: 'debug_stop' });
    const run = await bench.get(DebugRuns).create('bob', { device, releaseId: id, minutes: 60, params: {} });
    await settle();
    await bench.say(device, { kind: 'run', run: run.id }, report(run.id, digest, 'ATTACHED', 1));
    expect((await bench.get(DebugRuns).stop('eve', run.id)).state).toBe('ENDED');
    expect((await bench.get(DebugRuns).stop('eve', run.id)).state).toBe('ENDED');
    await settle();
    expect((await sync(device)).desired?.entries).toEqual([]);
    expect((await bench.get(Runs).get(run.id)).history.at(-1)?.reason).toBe('eve stopped it');
  });

  it('time out on a device that never came, and need an active device and a free slot', async () => {
    const device = await addDevice(bench);
    const { id } = await addRelease(bench, { probe: 'debug_slots' });
    const create = (on: string) =>
      bench.get(DebugRuns).create('bob', { device: on, releaseId: id, minutes: 1, params: {} });
    const runs = await Promise.all(Array.from({ length: 8 }, () => create(device)));
    await expect(create(device)).rejects.toMatchObject({ code: 'DEBUG_SLOTS_FULL', status: 409 });
    await settle();
    bench.clock.advance(60_000);
    await settle();
    expect((await bench.get(Runs).get(runs[0]?.id as string)).state).toBe('TIMED_OUT');
    const revoked = await addDevice(bench);
    await bench.prisma.device.update({ where: { id: revoked }, data: { status: 'revoked' } });
    await expect(create(revoked)).rejects.toMatchObject({ code: 'DEVICE_INACTIVE' });
    await expect(create('dnobody000001')).rejects.toMatchObject({ code: 'DEVICE_UNKNOWN' });
  });
});

describe('outbox', () => {
  it('keeps what the broker could not take, in order, and only the newest desired state', async () => {
    const device = await addDevice(bench, { labels: { only: 'outbox' } });
    const first = await addRelease(bench, { probe: 'out_a' });
    const second = await addRelease(bench, { probe: 'out_b' });
    bench.link.disconnect();
    bench.link.clear();
    await assign(first.id, 'only=outbox');
    await settle();
    await assign(second.id, 'only=outbox');
    await settle();
    expect(bench.link.published).toEqual([]);
    expect(await bench.prisma.outbox.count({ where: { deviceId: device } })).toBe(1);
    bench.link.connect();
    await settle();
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
