import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { acceptDesired } from '@bpfleet/trust';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import type { RunReport } from '@bpfleet/wire';
import { AssignmentsApiModule } from '../assignments/index.js';
import { Assignments } from '../assignments/assignments.service.js';
import { DebugApiModule } from '../debug/index.js';
import { DebugRuns } from '../debug/debug-runs.service.js';
import { Devices } from '../devices/index.js';
import { RunReports, Runs } from '../runs/index.js';
import { ControlModule } from './index.js';
import { LeaseHints } from './lease-hints.js';
import { Refusals } from './refusals.js';
import { addDevice, addRelease, Bench } from './testing/bench.js';
import { assign, birth, report, settle, sync } from './testing/steps.js';

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

describe('assignments', () => {
  it('reach the devices that match, now and later, through the outbox', async () => {
    const { id, digest } = await addRelease(bench, { probe: 'reach_a' });
    const oslo = await addDevice(bench, { labels: { site: 'oslo' }, online: true });
    const bergen = await addDevice(bench, { labels: { site: 'bergen' } });
    bench.link.clear();
    const assignment = await assign(bench, id, 'site=oslo', {});
    await settle(bench);
    expect(assignment.devices).toBe(1);
    const sent = bench.link.sentTo(oslo).filter(({ topic }) => topic.kind === 'desired');
    const desired = acceptDesired(bench.keys.root.document, oslo, undefined, sent.at(-1)?.payload as Buffer);
    expect(desired.entries).toMatchObject([{ release: digest, probe: 'reach_a', leaseSeconds: 14 * 86_400 }]);
    expect((await bench.get(Assignments).get(assignment.id)).runs).toEqual({ OFFERED: 1 });
    expect(bench.link.sentTo(bergen)).toEqual([]);

    await bench.get(Devices).update('alice', bergen, { labels: { site: 'oslo' } });
    await settle(bench);
    expect((await bench.get(Assignments).get(assignment.id)).runs).toEqual({ OFFERED: 1, DEFERRED: 1 });
    await sync(bench, bergen);
    expect((await bench.get(Assignments).get(assignment.id)).runs).toEqual({ OFFERED: 2 });
  });

  it('reach a device when it first says what it is', async () => {
    const { id } = await addRelease(bench, { probe: 'reach_b' });
    const assignment = await assign(bench, id, 'kernel>=6.1 and arch=arm64');
    const device = await addDevice(bench);
    await birth(bench, device, 1);
    await settle(bench);
    expect(await bench.get(Runs).list({ device, limit: 10 })).toMatchObject([
      { intent: assignment.id, state: 'OFFERED' },
    ]);
  });

  it('give way to a newer one of the same probe, and come back when that is withdrawn', async () => {
    const device = await addDevice(bench, { labels: { only: 'precedence' } });
    const first = await addRelease(bench, { probe: 'reach_c', version: '1.0.0' });
    const second = await addRelease(bench, { probe: 'reach_c', version: '2.0.0' });
    await assign(bench, first.id, 'only=precedence');
    await settle(bench);
    bench.clock.advance(1000);
    const newer = await assign(bench, second.id, 'only=precedence');
    await settle(bench);
    const states = async () =>
      (await bench.get(Runs).list({ device, limit: 10 })).map(({ version, state }) => `${version} ${state}`).sort();
    expect(await states()).toEqual(['1.0.0 SUPERSEDED', '2.0.0 DEFERRED']);
    await bench.get(Assignments).withdraw('alice', newer.id);
    await settle(bench);
    expect(await states()).toEqual(['1.0.0 DEFERRED', '1.0.0 SUPERSEDED', '2.0.0 SUPERSEDED']);
    const { desired } = await sync(bench, device);
    expect(desired).toMatchObject({ generation: 3, entries: [{ version: '1.0.0' }] });
  });

  it('write no generation when nothing changes, and keep the run when only the intent does', async () => {
    const device = await addDevice(bench, { labels: { only: 'calm' } });
    const { id } = await addRelease(bench, { probe: 'reach_d' });
    await assign(bench, id, 'only=calm');
    await settle(bench);
    const [run] = await bench.get(Runs).list({ device, limit: 10 });
    bench.clock.advance(1000);
    const again = await assign(bench, id, 'only=calm');
    await settle(bench);
    const after = await bench.get(Runs).list({ device, limit: 10 });
    expect(after).toMatchObject([{ id: run?.id, intent: again.id }]);
    await bench.get(Devices).update('alice', device, { name: 'another name' });
    await settle(bench);
    expect((await bench.get(Devices).get(device)).desiredGeneration).toBe(2);
  });

  it('refuse a selector that cannot be read, a parameter the probe does not have, an unknown release', async () => {
    const { id } = await addRelease(bench, { probe: 'reach_e', extra: 'params:\n  limit: { default: 1, max: 10 }\n' });
    await expect(assign(bench, id, 'site=')).rejects.toMatchObject({
      code: 'SELECTOR_INVALID',
      status: 422,
      details: { column: 6 },
    });
    await expect(assign(bench, id, 'all', { limit: 11 })).rejects.toMatchObject({ code: 'PARAM_INVALID', status: 422 });
    await expect(assign(bench, id, 'all', { other: 1 })).rejects.toMatchObject({ code: 'PARAM_INVALID' });
    await expect(assign(bench, 'nothing', 'all')).rejects.toMatchObject({ code: 'RELEASE_UNKNOWN', status: 404 });
  });
});

describe('a device whose desired state is full', () => {
  it('has a run for what found no room, offers it when there is some, and refuses debug at once', async () => {
    const device = await addDevice(bench, { labels: { only: 'full' }, online: true });
    const made = [];
    for (let at = 0; at < 48; at++) {
      const { id } = await addRelease(bench, { probe: `full_${String(99 - at)}` });
      bench.clock.advance(1000);
      made.push(await assign(bench, id, 'only=full'));
    }
    await settle(bench);
    const late = await addRelease(bench, { probe: 'aaa_late' });
    bench.clock.advance(1000);
    const newest = await assign(bench, late.id, 'only=full');
    await settle(bench);
    const runsOf = async (intent: string) =>
      (await bench.get(Runs).list({ device, limit: 500 })).filter((run) => run.intent === intent);
    expect(await runsOf(newest.id)).toMatchObject([{ state: 'REJECTED', error: { code: 'DESIRED_FULL' } }]);
    const { desired } = await sync(bench, device);
    expect(desired?.entries).toHaveLength(48);
    expect((await bench.get(Assignments).get(newest.id)).runs).toEqual({ REJECTED: 1 });

    const debugging = async () => {
      for (let at = 0; at < 8; at++) {
        await bench.get(DebugRuns).create('bob', { device, releaseId: late.id, minutes: 5, params: {} });
      }
    };
    await expect(debugging()).rejects.toMatchObject({ status: 409, code: 'DEBUG_NO_ROOM' });
    await settle(bench);
    expect((await sync(bench, device)).desired?.entries.filter(({ reason }) => reason.kind !== 'debug')).toHaveLength(
      48,
    );

    await bench.get(Assignments).withdraw('alice', made[0]?.id as string);
    await settle(bench);
    expect((await runsOf(newest.id)).map(({ state }) => state).sort()).toEqual(['OFFERED', 'REJECTED']);
  }, 60_000);
});

describe('runs', () => {
  async function oneRun() {
    const release = await addRelease(bench, { probe: `run_${randomBytes(4).toString('hex')}` });
    const device = await addDevice(bench, { online: true, labels: { only: release.id } });
    await assign(bench, release.id, `only="${release.id}"`);
    await settle(bench);
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

  it('shows the newest of a long history, and keeps no more of it than a thousand steps', async () => {
    const { id: run, device, say, release } = await oneRun();
    for (let at = 0; at < 600; at++) await say(at % 2 === 0 ? 'ATTACHED' : 'FETCHING', at);
    const failed = { error: { code: 'ATTACH_FAILED', message: 'the newest word' } };
    await say('FAILED', 600, failed);
    const { history } = await bench.get(Runs).get(run);
    expect(history).toHaveLength(500);
    expect(history.at(-1)).toMatchObject({ to: 'FAILED', reason: expect.stringContaining('the newest word') });
    expect(history.at(-2)).toMatchObject({ to: 'FETCHING' });

    await bench.prisma.runTransition.createMany({
      data: Array.from({ length: 600 }, () => ({ runId: run, to: 'FETCHING', reason: 'as if it had gone on' })),
    });
    const reports = [601, 602, 603, 604].map((revision) =>
      report(
        run,
        release.digest,
        revision % 2 === 0 ? 'FAILED' : 'ATTACHED',
        revision,
        revision % 2 === 0 ? failed : {},
      ),
    );
    const agent = { rssBytes: 1, spoolBytes: 0, spoolBatches: 0, uptimeSeconds: 1 };
    const count = () => bench.prisma.runTransition.count({ where: { runId: run } });
    const before = await count();
    await bench.say(
      device,
      { kind: 'reported' },
      { v: 1, generation: 1, desired: null, runs: reports.slice(0, 3), agent },
    );
    expect((await bench.get(Runs).get(run)).state).toBe('ATTACHED');
    expect(await count()).toBe(before + 1 - 200);
    await say('FAILED', 605, failed);
    await say('ATTACHED', 606);
    expect(await count()).toBe(1_000);
    expect((await bench.get(Runs).get(run)).history.at(-1)).toMatchObject({ to: 'ATTACHED' });
  }, 60_000);

  it('does not fill the log with commands that failed', async () => {
    const device = await addDevice(bench);
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    try {
      bench.clock.advance(60_000);
      for (let at = 0; at < 1_000; at++) {
        await bench.say(
          device,
          { kind: 'res', cid: `c${at}` },
          { v: 1, ok: false, error: { code: 'NO', message: 'no' } },
        );
      }
      expect(warn.mock.calls.length).toBeLessThanOrEqual(30);
      expect(String(warn.mock.calls[0]?.[0])).toContain('c0: NO');
    } finally {
      warn.mockRestore();
    }
    expect(bench.get(Refusals).snapshot()['COMMAND_FAILED']).toBe(1_000);
  }, 60_000);

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
    const reports = bench.get(RunReports);
    const one = report(id, release.digest, 'ATTACHED', 5);
    const outcomes = await Promise.all([
      reports.apply(device, one),
      reports.apply(device, one),
      reports.apply(device, one),
    ]);
    expect(outcomes.filter(({ outcome }) => outcome === 'applied')).toHaveLength(1);
    expect((await get()).history.filter(({ to }) => to === 'ATTACHED')).toHaveLength(1);
  });
});

describe('debug runs', () => {
  it('run beside the assignment, end on the device by its clock and on the server by ours', async () => {
    const device = await addDevice(bench, { online: true, labels: { only: 'debug' } });
    const { id, digest } = await addRelease(bench, { probe: 'debugged' });
    await assign(bench, id, 'only=debug');
    const run = await bench.get(DebugRuns).create('bob', { device, releaseId: id, minutes: 10, params: {} });
    expect(run).toMatchObject({ kind: 'debug', state: 'PENDING', intent: 'bob' });
    await settle(bench);
    const { desired } = await sync(bench, device);
    expect(desired?.entries).toMatchObject([
      { reason: { kind: 'assignment' } },
      { run: run.id, reason: { kind: 'debug' }, endsAfterSeconds: 600, leaseSeconds: 600 },
    ]);
    await bench.say(device, { kind: 'run', run: run.id }, report(run.id, digest, 'ATTACHED', 1));
    bench.clock.advance(600_000);
    await settle(bench);
    const ended = await bench.get(Runs).get(run.id);
    expect(ended).toMatchObject({ state: 'ENDED', endedAt: bench.clock.now().toISOString() });
    expect((await sync(bench, device)).desired?.entries).toHaveLength(1);
  });

  it('keep their lease alive for as long as they last, and no longer', async () => {
    const device = await addDevice(bench, { online: true });
    const { id } = await addRelease(bench, { probe: 'debug_lease' });
    const run = await bench.get(DebugRuns).create('bob', { device, releaseId: id, minutes: 60, params: {} });
    await settle(bench);
    const hints = bench.get(LeaseHints);
    expect(await hints.hint()).not.toContain(device);
    bench.link.clear();
    bench.clock.advance(200_000);
    expect(await hints.hint()).toContain(device);
    expect(bench.link.sentTo(device).map(({ topic }) => topic.kind)).toEqual(['cmd']);
    expect(await hints.hint()).not.toContain(device);
    await bench.get(DebugRuns).stop('bob', run.id);
    bench.clock.advance(200_000);
    expect(await hints.hint()).not.toContain(device);
  });

  it('leave the desired state when the device says that it is over', async () => {
    const device = await addDevice(bench, { online: true });
    const { id, digest } = await addRelease(bench, { probe: 'debug_done' });
    const run = await bench.get(DebugRuns).create('bob', { device, releaseId: id, minutes: 60, params: {} });
    await settle(bench);
    await bench.say(device, { kind: 'run', run: run.id }, report(run.id, digest, 'ATTACHED', 1));
    await bench.say(device, { kind: 'run', run: run.id }, report(run.id, digest, 'ENDED', 2));
    await settle(bench);
    expect((await sync(bench, device)).desired?.entries).toEqual([]);
  });

  it('stop when told to, once', async () => {
    const device = await addDevice(bench, { online: true });
    const { id, digest } = await addRelease(bench, { probe: 'debug_stop' });
    const run = await bench.get(DebugRuns).create('bob', { device, releaseId: id, minutes: 60, params: {} });
    await settle(bench);
    await bench.say(device, { kind: 'run', run: run.id }, report(run.id, digest, 'ATTACHED', 1));
    expect((await bench.get(DebugRuns).stop('eve', run.id)).state).toBe('ENDED');
    expect((await bench.get(DebugRuns).stop('eve', run.id)).state).toBe('ENDED');
    await settle(bench);
    expect((await sync(bench, device)).desired?.entries).toEqual([]);
    expect((await bench.get(Runs).get(run.id)).history.at(-1)?.reason).toBe('eve stopped it');
  });

  it('time out on a device that never came, and need an active device and a free slot', async () => {
    const device = await addDevice(bench);
    const { id } = await addRelease(bench, { probe: 'debug_slots' });
    const create = (on: string) =>
      bench.get(DebugRuns).create('bob', { device: on, releaseId: id, minutes: 1, params: {} });
    const runs = await Promise.all(Array.from({ length: 8 }, () => create(device)));
    await expect(create(device)).rejects.toMatchObject({ code: 'DEBUG_SLOTS_FULL', status: 409 });
    await settle(bench);
    bench.clock.advance(60_000);
    await settle(bench);
    expect((await bench.get(Runs).get(runs[0]?.id as string)).state).toBe('TIMED_OUT');
    const revoked = await addDevice(bench);
    await bench.prisma.device.update({ where: { id: revoked }, data: { status: 'revoked' } });
    await expect(create(revoked)).rejects.toMatchObject({ code: 'DEVICE_INACTIVE' });
    await expect(create('dnobody000001')).rejects.toMatchObject({ code: 'DEVICE_UNKNOWN' });
  });
});
