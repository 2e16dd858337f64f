import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DesiredEntry } from '@bpfleet/trust';
import { AgentError } from '../agent-error.js';
import { RunStore } from '../store/runs.js';
import { StateDisk } from '../store/state-disk.js';
import { RunTelemetry } from '../telemetry/run-telemetry.js';
import { desiredEntry } from '../testing/desired-entry.js';
import { FaultyPort } from '../testing/faulty-port.js';
import { FakeKernel } from '../testing/fake-kernel.js';
import type { RunSlot } from './run-slot.js';
import { Supervisor, type RunStarter } from './supervisor.js';

let folder: string;
/** What the sampler was to drain a last time, and how often each run in the kernel was attached then. */
let drained: { readonly runs: readonly string[]; readonly attached: readonly number[] }[];
let kernel: FakeKernel;
let nowSeconds: number;
let leaseSeconds: number;
let desired: DesiredEntry[] | undefined;
let problem: Error | undefined;
let starts: number;
let gate: Promise<void>;
let supervisor: Supervisor;
let changes: string[];
let port: FaultyPort;
let revisionFloor: number;
let disk: StateDisk;

const RUN = 'raaaaaaaa';
const entry = (change: Partial<DesiredEntry> = {}): DesiredEntry => desiredEntry(RUN, change);

/** Puts runs into the fake kernel without anything to fetch or to check. */
function fakeStarter(owner: () => Supervisor): RunStarter {
  const makeLive = (slot: RunSlot, run: ReturnType<FakeKernel['load']>): void => {
    const telemetry = new RunTelemetry({
      run: slot.run,
      release: slot.record.entry.release,
      plan: { rings: [], snapshots: [], stacks: [] },
      kernel: run,
      earlier: slot.record.counters,
      eventsPerSecond: 1,
      nowSeconds: 0,
      wantsInterfaces: false,
    });
    const plan = {
      name: 'p',
      globals: new Map(),
      telemetry: { rings: [], snapshots: [], stacks: [] },
      mapBytes: slot.record.entry.budget.mapBytes,
      features: [],
      wantsInterfaces: false,
      typeNeeds: { relocations: 0, programs: [], symbols: [] },
      attachOptionsOf: () => ({}),
    };
    const since = { bootId: 'boot', seconds: nowSeconds };
    slot.live = { kernel: run, plan, telemetry, since, fuse: { runTimeNs: 0n, atSeconds: nowSeconds, windowsOver: 0 } };
  };
  return {
    start: async (slot) => {
      starts += 1;
      await gate;
      if (slot.abort.signal.aborted) throw new AgentError('ABORTED', 'not wanted any more');
      if (problem) throw problem;
      const run = kernel.load({ run: slot.run });
      run.attach();
      makeLive(slot, run);
      const firstAttach = slot.record.firstAttach ?? { bootId: 'boot', seconds: nowSeconds };
      owner().move(slot, 'ATTACHED', { inKernel: run.ids, firstAttach, attempts: 0 });
    },
    adopt: (slot) => {
      const { inKernel, state } = slot.record;
      const run = state === 'ATTACHED' && inKernel ? kernel.adopt(slot.run, inKernel) : undefined;
      if (run) makeLive(slot, run);
      return run !== undefined;
    },
  };
}

function makeSupervisor(): Supervisor {
  const made: Supervisor = new Supervisor(
    {
      store: new RunStore(folder, disk),
      revisionFloor,
      kernel,
      kernelKey: 'k1',
      sampler: {
        add: () => undefined,
        remove: async (runs) => {
          drained.push({ runs, attached: [...kernel.pinned.values()].map(({ attachments }) => attachments) });
        },
      },
      now: () => ({ bootId: 'boot', seconds: nowSeconds }),
      ...{ random: () => 1, desired: () => desired },
      leaseElapsedSeconds: () => leaseSeconds,
      boots: { crash: undefined, heldUntil: undefined, arm: () => undefined },
      onChange: (run) => {
        const report = made.report(run);
        changes.push(`${report?.state} ${report?.revision}`);
      },
      log: () => undefined,
    },
    fakeStarter(() => made),
  );
  return made;
}

/** Until nothing is under way. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

async function reconcile(): Promise<void> {
  supervisor.reconcile();
  await settle();
}

beforeEach(() => {
  drained = [];
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-supervisor-'));
  kernel = new FakeKernel();
  nowSeconds = 100;
  leaseSeconds = 0;
  desired = [];
  problem = undefined;
  starts = 0;
  gate = Promise.resolve();
  changes = [];
  revisionFloor = 0;
  port = new FaultyPort();
  disk = new StateDisk({
    folder,
    monotonicMs: () => nowSeconds * 1_000,
    random: () => 1,
    log: () => undefined,
    port,
  });
  disk.onWritable = () => supervisor.retryNow(['STATE_UNWRITABLE']);
  supervisor = makeSupervisor();
  supervisor.recover();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const state = (): string | undefined => supervisor.report(RUN)?.state;

describe('supervisor', () => {
  it('attaches a run once, however often it is asked', async () => {
    desired = [entry()];
    for (let turn = 0; turn < 5; turn++) supervisor.reconcile();
    await reconcile();
    await reconcile();
    expect(starts).toBe(1);
    expect(kernel.pinned.get(RUN)?.attachments).toBe(1);
    expect(changes).toEqual(['ACCEPTED 2', 'ATTACHED 3']);
    expect(kernel.measuring).toBe(true);
  });

  it('takes off what is not wanted any more, and forgets it once the server knows', async () => {
    desired = [entry()];
    await reconcile();
    desired = [];
    await reconcile();
    expect(kernel.pinned.size).toBe(0);
    expect(changes.at(-1)).toBe('REMOVED 4');
    expect(supervisor.reports()).toEqual([]);
    supervisor.forgetRemoved(RUN);
    expect(supervisor.runs).toEqual([]);
    expect(new RunStore(folder).load().records).toEqual([]);
  });

  it('adds up what the maps of the others take, as long as they are in the kernel', async () => {
    const budget = { ...entry().budget, mapBytes: 1000 };
    desired = [entry({ budget }), entry({ run: 'rbbbbbbbb', budget: { ...budget, mapBytes: 200 } })];
    await reconcile();
    expect([RUN, 'rbbbbbbbb', 'rcccccccc'].map((run) => supervisor.mapBytesBeside(run))).toEqual([200, 1000, 1200]);
    desired = desired.slice(0, 1);
    await reconcile();
    expect(supervisor.mapBytesBeside('rcccccccc')).toBe(1000);
  });

  it('tries again what found no room beside the others', async () => {
    problem = new AgentError('DEVICE_FULL', 'no room');
    desired = [entry()];
    await reconcile();
    expect(state()).toBe('FAILED');
    problem = undefined;
    nowSeconds += 3600;
    await reconcile();
    expect(state()).toBe('ATTACHED');
  });

  it('touches nothing while it knows no desired state', async () => {
    desired = [entry()];
    await reconcile();
    desired = undefined;
    await reconcile();
    supervisor = makeSupervisor();
    supervisor.recover();
    await reconcile();
    expect(state()).toBe('ATTACHED');
    expect(supervisor.report(RUN)?.adopted).toBe(true);
  });

  it('adopts after a crash what is there as recorded, and begins anew when the kernel has something else', async () => {
    desired = [entry()];
    await reconcile();
    const before = kernel.pinned.get(RUN);
    supervisor = makeSupervisor();
    supervisor.recover();
    await reconcile();
    expect([starts, kernel.pinned.get(RUN)]).toEqual([1, before]);
    kernel.load({ run: RUN });
    supervisor = makeSupervisor();
    supervisor.recover();
    await reconcile();
    expect(starts).toBe(2);
    expect(kernel.pinned.size).toBe(1);
    expect(kernel.pinned.get(RUN)?.attachments).toBe(1);
  });

  it('removes pins that no record knows', () => {
    kernel.load({ run: 'rzzzzzzzz' });
    makeSupervisor().recover();
    expect(kernel.pinnedRuns()).toEqual([]);
  });

  it('tries a failure again later, and a refusal never', async () => {
    desired = [entry()];
    problem = new AgentError('ATTACH_FAILED', 'no such tracepoint', { errno: 2 });
    await reconcile();
    expect(supervisor.report(RUN)).toMatchObject({ state: 'FAILED', error: { code: 'ATTACH_FAILED' } });
    nowSeconds += 4;
    await reconcile();
    expect(starts).toBe(1);
    nowSeconds += 1;
    problem = new AgentError('VERIFIER_REFUSED', 'no', {}, 'R1 invalid mem access');
    await reconcile();
    expect(starts).toBe(2);
    expect(supervisor.report(RUN)).toMatchObject({ state: 'REJECTED', error: { log: 'R1 invalid mem access' } });
    nowSeconds += 1e6;
    await reconcile();
    supervisor = makeSupervisor();
    supervisor.recover();
    await reconcile();
    expect(starts).toBe(2);
  });

  it.each(['KERNEL_TOO_OLD', 'TARGET_UNTRACEABLE'] as const)('does not try again what is %s', async (code) => {
    desired = [entry()];
    problem = new AgentError(code, 'this device runs Linux 4.19');
    await reconcile();
    nowSeconds += 1e6;
    await reconcile();
    expect(starts).toBe(1);
    expect(supervisor.report(RUN)).toMatchObject({ state: 'REJECTED', error: { code } });
  });

  it('cuts short a start that is not wanted any more', async () => {
    let open = (): void => undefined;
    gate = new Promise((resolve) => (open = resolve));
    desired = [entry()];
    await reconcile();
    desired = [];
    supervisor.reconcile();
    open();
    await settle();
    expect(kernel.pinned.size).toBe(0);
    expect(state()).toBe('REMOVED');
  });

  it('takes off what is over its CPU budget for three windows, and leaves it off until the budget is another', async () => {
    desired = [entry()];
    await reconcile();
    const run = kernel.pinned.get(RUN);
    for (let window = 0; window < 3; window++) {
      nowSeconds += 10;
      if (run) run.runTimeNs += 9e8;
      supervisor.checkBudgets();
      await settle();
    }
    expect(supervisor.report(RUN)).toMatchObject({ state: 'FAILED', error: { code: 'BUDGET_CPU' } });
    expect(kernel.pinned.size).toBe(0);
    nowSeconds += 1e6;
    await reconcile();
    expect(starts).toBe(1);
    desired = [entry({ budget: { cpuPercent: 50, mapBytes: 1, eventsPerSecond: 1 } })];
    await reconcile();
    expect(state()).toBe('ATTACHED');
  });

  it('takes off what has outlived its lease, and puts it back with the next word', async () => {
    desired = [entry()];
    await reconcile();
    leaseSeconds = 601;
    await reconcile();
    expect(supervisor.report(RUN)).toMatchObject({ state: 'FAILED', error: { code: 'LEASE_LAPSED' } });
    expect(kernel.pinned.size).toBe(0);
    leaseSeconds = 0;
    await reconcile();
    expect(state()).toBe('ATTACHED');
  });

  it('swaps a run for another release under the same id, with counters of its own', async () => {
    desired = [entry()];
    await reconcile();
    desired = [entry({ release: 'b'.repeat(64) })];
    await reconcile();
    expect(starts).toBe(2);
    expect(supervisor.report(RUN)).toMatchObject({ state: 'ATTACHED', release: 'b'.repeat(64), revision: 5 });
    expect(kernel.pinned.get(RUN)?.attachments).toBe(1);
  });

  it('attaches nothing that it could not write down first, and does so as soon as it can', async () => {
    desired = [entry()];
    port.fault = 'ENOSPC';
    await reconcile();
    expect([starts, kernel.pinned.size]).toEqual([0, 0]);
    expect(supervisor.report(RUN)).toMatchObject({ state: 'FAILED', error: { code: 'STATE_UNWRITABLE' } });
    for (let second = 0; second < 100; second++) {
      nowSeconds += 1;
      disk.tick();
      await reconcile();
    }
    expect(kernel.pinned.size).toBe(0);
    port.fault = undefined;
    nowSeconds += 60;
    disk.tick();
    await settle();
    expect(state()).toBe('ATTACHED');
    const { revision } = supervisor.report(RUN) ?? {};
    expect(new RunStore(folder).load().records).toMatchObject([{ state: 'ATTACHED', revision }]);
  });

  it('goes on above what an agent before it has told and could not write down', async () => {
    desired = [entry()];
    port.fault = 'ENOSPC';
    await reconcile();
    const told = supervisor.report(RUN)?.revision ?? 0;
    port.fault = undefined;
    revisionFloor = 1_024;
    supervisor = makeSupervisor();
    supervisor.recover();
    await reconcile();
    expect(supervisor.report(RUN)).toMatchObject({ state: 'ATTACHED', revision: 1_026 });
    expect(told).toBeLessThan(revisionFloor);
    revisionFloor = 2_048;
    supervisor = makeSupervisor();
    supervisor.recover();
    expect(supervisor.report(RUN)).toMatchObject({ state: 'ATTACHED', adopted: true, revision: 2_049 });
  });

  it.each(['ENOSPC', 'EIO', 'EROFS'])('keeps, adopts and takes off what runs through %s', async (code) => {
    desired = [entry()];
    await reconcile();
    port.fault = code;
    supervisor.saveCounters();
    desired = [entry({ leaseSeconds: 700 })];
    await reconcile();
    expect([state(), kernel.pinned.get(RUN)?.attachments]).toEqual(['ATTACHED', 1]);
    supervisor = makeSupervisor();
    supervisor.recover();
    await reconcile();
    expect(supervisor.report(RUN)).toMatchObject({ state: 'ATTACHED', adopted: true });
    desired = [];
    await reconcile();
    expect([state(), kernel.pinned.size]).toEqual(['REMOVED', 0]);
    supervisor.forgetRemoved(RUN);
    port.fault = undefined;
    nowSeconds += 60;
    disk.tick();
    expect(new RunStore(folder).load()).toEqual({ records: [], unreadable: [] });
  });

  it('detaches everything when it closes, or leaves it for a successor', async () => {
    desired = [entry()];
    await reconcile();
    await supervisor.close('leave');
    expect(kernel.pinned.get(RUN)?.attachments).toBe(1);
    supervisor = makeSupervisor();
    supervisor.recover();
    expect(supervisor.report(RUN)?.adopted).toBe(true);
    await supervisor.close('detach');
    expect(kernel.pinned.size).toBe(0);
    supervisor = makeSupervisor();
    supervisor.recover();
    await reconcile();
    expect(state()).toBe('ATTACHED');
  });

  it('detaches all runs before it drains them, and drains them together', async () => {
    desired = [entry(), entry({ run: 'rbbbbbbbb' })];
    await reconcile();
    expect([...kernel.pinned.values()].map(({ attachments }) => attachments)).toEqual([1, 1]);
    await supervisor.close('detach');
    expect(drained).toEqual([{ runs: [RUN, 'rbbbbbbbb'], attached: [0, 0] }]);
    expect(kernel.pinned.size).toBe(0);
  });
});
