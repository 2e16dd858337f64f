import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import type { RunReport } from '@bpfleet/wire';
import { Assignments } from '../assignments/assignments.service.js';
import { Refusals } from '../control/refusals.js';
import { addDevice, type Bench } from '../control/testing/bench.js';
import { assign, report, settle, sync } from '../control/testing/steps.js';
import { DebugRuns } from '../debug/debug-runs.service.js';
import { READS_OLD_STATE, READS_PID } from '../kernels/testing/core-object.js';
import { UntypedFleet } from '../kernels/testing/untyped-fleet.js';
import { Runs } from './index.js';

const FENTRY = 'SEC("fentry/do_unlinkat") int p(void *ctx) { return 0; }';
const LSM = 'SEC("lsm/inode_unlink") int p(void *ctx) { return 0; }';
const NO_BTF = { code: 'BTF_MISSING', message: 'the kernel shows no BTF' };

describeWithKernel('a refusal that the server hears late', ['clang'], () => {
  let fleet: UntypedFleet;
  let bench: Bench;

  beforeAll(async () => {
    fleet = await UntypedFleet.start([FENTRY, LSM, READS_PID, READS_OLD_STATE]);
    bench = fleet.bench;
  });
  afterAll(() => fleet?.stop());
  beforeEach(() => fleet.clear());

  /** A probe that was offered to a device of which no types are known. */
  async function offered(source: string) {
    const device = await fleet.born();
    const release = await fleet.publish(source);
    const assignment = await assign(bench, release.id, 'all');
    await settle(bench);
    const [run] = await bench.get(Runs).list({ device, limit: 10 });
    if (run?.state !== 'OFFERED') throw new Error(`the run is ${run?.state}`);
    let revision = 1;
    const say = async (state: RunReport['state'], more: Partial<RunReport> = {}): Promise<void> => {
      const said = report(run.id, release.digest, state, ++revision, more);
      await bench.say(device, { kind: 'run', run: run.id }, said);
    };
    const runs = () => bench.get(Runs).list({ device, limit: 10 });
    return {
      device,
      id: run.id,
      digest: release.digest,
      assignment,
      say,
      runs,
      get: () => bench.get(Runs).get(run.id),
    };
  }

  /** What runs of the device that is to run something says why it does not. */
  const truth = async ({ runs, device }: Awaited<ReturnType<typeof offered>>) => {
    await settle(bench);
    const { entries } = (await sync(bench, device)).desired ?? { entries: [] };
    const wanted = await bench.prisma.run.findMany({ where: { deviceId: device, wanted: true } });
    const shown = (await runs()).filter(({ id }) => wanted.some((row) => row.id === id));
    return { entries: entries.length, wanted: shown.map(({ state, error }) => [state, error?.code]) };
  };

  it.each([
    ['fentry', FENTRY],
    ['LSM', LSM],
  ])('leaves the server’s own in place, when types came before the device’s word: %s', async (_, source) => {
    const one = await offered(source);
    await fleet.addBtf();
    await settle(bench);
    await one.say('ACCEPTED');
    await one.say('REJECTED', { error: NO_BTF });
    await one.say('REMOVED');
    expect(await truth(one)).toEqual({ entries: 0, wanted: [['REJECTED', 'KERNEL_TYPES']] });
    const { history, ...run } = await one.get();
    expect(run).toMatchObject({ state: 'SUPERSEDED', error: NO_BTF });
    expect(history.at(-1)?.reason).toMatch(/^the device, before it had heard of this: REJECTED: BTF_MISSING: /);
    expect((await one.runs()).find(({ id }) => id !== run.id)?.error?.message).toMatch(
      /attaches by the kernel.s own BTF/,
    );
  });

  it('leaves it in place too when the device had not come to a word of its own', async () => {
    const one = await offered(FENTRY);
    await fleet.addBtf();
    await settle(bench);
    await one.say('REMOVED');
    expect(await truth(one)).toEqual({ entries: 0, wanted: [['REJECTED', 'KERNEL_TYPES']] });
  });

  it.each([
    ['rejected', 'REJECTED', NO_BTF],
    ['failed', 'FAILED', { code: 'ATTACH_FAILED', message: 'errno 524' }],
  ] as const)('is kept beside the server’s own, when the device had %s it before', async (_, state, error) => {
    const one = await offered(FENTRY);
    await one.say(state, { error });
    await fleet.addBtf();
    await settle(bench);
    await one.say('REMOVED');
    expect(await truth(one)).toEqual({ entries: 0, wanted: [['REJECTED', 'KERNEL_TYPES']] });
    expect(await one.get()).toMatchObject({ state: state === 'FAILED' ? 'REMOVED' : state, error });
    expect(await one.runs()).toHaveLength(2);
  });

  it('does not keep quiet about what ran until its types were known', async () => {
    const one = await offered(READS_OLD_STATE);
    await one.say('ATTACHED');
    await fleet.addBtf();
    await settle(bench);
    await one.say('ATTACHED');
    await one.say('REMOVED');
    expect(await truth(one)).toEqual({ entries: 0, wanted: [['REJECTED', 'KERNEL_TYPES']] });
  });

  it('is not taken for an answer to what is offered now, where the types do', async () => {
    const one = await offered(READS_PID);
    await fleet.addBtf();
    await settle(bench);
    await one.say('REJECTED', { error: NO_BTF });
    expect(await truth(one)).toEqual({ entries: 1, wanted: [['OFFERED', undefined]] });
    expect(await one.get()).toMatchObject({ state: 'SUPERSEDED', error: NO_BTF });
  });

  it('is not either, where the device was asked before it had told its kernel', async () => {
    await fleet.addBtf();
    const device = await addDevice(bench);
    const release = await fleet.publish(READS_PID);
    await assign(bench, release.id, 'all');
    const [first] = (await sync(bench, device)).desired?.entries ?? [];
    await fleet.birth(device);
    await settle(bench);
    const run = first?.run ?? '';
    await bench.say(device, { kind: 'run', run }, report(run, release.digest, 'REJECTED', 3, { error: NO_BTF }));
    const entries = (await sync(bench, device)).desired?.entries;
    expect(entries).toMatchObject([{ addendum: expect.any(String) }]);
    expect(entries?.[0]?.run).not.toBe(run);
    expect(await bench.get(Runs).get(run)).toMatchObject({ state: 'SUPERSEDED', error: NO_BTF });
  });

  describe('of what nobody asks for any more', () => {
    it.each([
      ['REJECTED', NO_BTF],
      ['FAILED', { code: 'ATTACH_FAILED', message: 'errno 524' }],
      ['SUSPECT_CRASH', { code: 'SUSPECT_CRASH', message: 'the device went down with it' }],
    ] as const)('says why it never ran: %s', async (state, error) => {
      const one = await offered(READS_PID);
      await bench.get(Assignments).withdraw('alice', one.assignment.id);
      await settle(bench);
      const dropped = bench.get(Refusals).snapshot()['RUN_STATE'];
      await one.say(state, { error });
      await one.say('REMOVED');
      const { history, ...run } = await one.get();
      expect(run).toMatchObject({ state: 'REMOVED', error });
      expect(history.at(-1)).toMatchObject({
        from: 'REMOVED',
        to: 'REMOVED',
        reason: expect.stringContaining(`${error.code}: ${error.message}`),
      });
      expect(bench.get(Refusals).snapshot()['RUN_STATE']).toBe(dropped);
      expect(await truth(one)).toEqual({ entries: 0, wanted: [] });
    });

    it('is said once, however often and in whatever order it is told', async () => {
      const one = await offered(READS_PID);
      await bench.get(Assignments).withdraw('alice', one.assignment.id);
      await settle(bench);
      await one.say('REJECTED', { error: NO_BTF });
      const { history } = await one.get();
      const again = { error: { code: 'OLDER', message: 'said before' } };
      for (const revision of [1, 2]) {
        const told = report(one.id, one.digest, 'REJECTED', revision, again);
        await bench.say(one.device, { kind: 'run', run: one.id }, told);
      }
      expect(await one.get()).toMatchObject({ error: NO_BTF, history });
    });

    it('outlives the device’s tidying up', async () => {
      const one = await offered(READS_PID);
      await one.say('FAILED', { error: NO_BTF });
      await bench.get(Assignments).withdraw('alice', one.assignment.id);
      await settle(bench);
      await one.say('REMOVED');
      expect(await one.get()).toMatchObject({ state: 'REMOVED', error: NO_BTF });
    });

    it('is not left over where it was put right', async () => {
      const one = await offered(READS_PID);
      await one.say('FAILED', { error: NO_BTF });
      await one.say('ATTACHED');
      await one.say('REMOVED');
      expect(await one.get()).toMatchObject({ state: 'REMOVED', error: null });
    });

    it('stands in the history of a debug run that the server refused, beside the server’s own', async () => {
      const device = await fleet.born();
      const release = await fleet.publish(FENTRY);
      const body = { device, releaseId: release.id, params: {}, minutes: 10 };
      const { id } = await bench.get(DebugRuns).create('kari', body);
      await settle(bench);
      await fleet.addBtf();
      await settle(bench);
      await bench.say(device, { kind: 'run', run: id }, report(id, release.digest, 'REJECTED', 1, { error: NO_BTF }));
      await bench.say(device, { kind: 'run', run: id }, report(id, release.digest, 'REMOVED', 2));
      const { state, error, history } = await bench.get(Runs).get(id);
      expect([state, error?.code]).toEqual(['REJECTED', 'KERNEL_TYPES']);
      expect(history.at(-1)?.reason).toContain('BTF_MISSING');
    });

    it('is kept for a debug run whose time was up', async () => {
      const device = await fleet.born();
      const release = await fleet.publish(FENTRY);
      const body = { device, releaseId: release.id, params: {}, minutes: 1 };
      const { id } = await bench.get(DebugRuns).create('kari', body);
      await settle(bench);
      bench.clock.advance(60_000);
      await settle(bench);
      await bench.say(device, { kind: 'run', run: id }, report(id, release.digest, 'REJECTED', 1, { error: NO_BTF }));
      expect(await bench.get(Runs).get(id)).toMatchObject({ state: 'TIMED_OUT', error: NO_BTF });
    });
  });
});
