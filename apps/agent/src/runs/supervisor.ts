import type { DesiredEntry } from '@bpfleet/trust';
import type { ReportedRunState, RunReport } from '@bpfleet/wire';
import { AgentError, type AgentErrorCode } from '../agent-error.js';
import { measureCpu } from '../core/budget.js';
import { afterBoot, afterHold, held, onKernel, soaked } from '../core/crash-guard.js';
import type { BootPoint } from '../core/lease.js';
import { reconcile, sameProgram, sameTerms, type Action, type StopReason } from '../core/reconcile.js';
import { advance, fail, newRecord, reject, type RunRecord } from '../core/run-record.js';
import type { Kernel } from '../kernel/port.js';
import { errorFacts, type Log } from '../log.js';
import type { RunStore } from '../store/runs.js';
import type { Sampler } from '../telemetry/sampler.js';
import type { BootGuard } from './boot-guard.js';
import { boundedError, reportOf } from './report.js';
import { RunSlot } from './run-slot.js';

export interface SupervisorOptions {
  readonly store: RunStore;
  readonly kernel: Kernel;
  /** Above every revision that an earlier agent may have told and not written down; the server ignores lower ones. */
  readonly revisionFloor: number;
  /** What decides a verdict on this machine. */
  readonly kernelKey: string;
  readonly sampler: Pick<Sampler, 'add' | 'remove'>;
  readonly now: () => BootPoint;
  readonly random: () => number;
  /** undefined: no desired state is known, so nothing is touched. */
  readonly desired: () => readonly DesiredEntry[] | undefined;
  readonly leaseElapsedSeconds: () => number;
  /** What the boots before this one say: see boot-guard.ts. */
  readonly boots: Pick<BootGuard, 'crash' | 'heldUntil' | 'arm'>;
  /** A run's state has changed. */
  readonly onChange: (run: string) => void;
  readonly log: Log;
}

/** How a run gets into the kernel: `Starter`, or a fake in tests. */
export interface RunStarter {
  start(slot: RunSlot, entry: DesiredEntry): Promise<void>;
  adopt(slot: RunSlot): boolean;
}

/** Cannot be, on this kernel and with this budget: trying again changes nothing. */
const rejections: ReadonlySet<string> = new Set<AgentErrorCode>([
  'RELEASE_ARCH',
  'MANIFEST_INVALID',
  'OBJECT_INVALID',
  'PARAM_INVALID',
  'BUDGET_MAP_BYTES',
  'DEVICE_MEMORY',
  'VERIFIER_REFUSED',
  'BTF_MISSING',
  'KERNEL_DISABLED',
  'KERNEL_TOO_OLD',
  'FEATURE_MISSING',
  'BLIND_SPOT',
  'TARGET_UNTRACEABLE',
]);

/** Carries out what `reconcile` decides. Each run is one chain of jobs, so that nothing is ever attached twice. */
export class Supervisor {
  private readonly slots = new Map<string, RunSlot>();
  private measured = false;
  private closing = false;

  constructor(
    private readonly options: SupervisorOptions,
    private readonly starter: RunStarter,
  ) {}

  /** Takes over what an earlier agent left attached, and takes out what it left half done or what nobody wants. */
  recover(): void {
    const { store, kernel, log } = this.options;
    const { records, unreadable } = store.load();
    const wanted = this.options.desired();
    for (const run of unreadable) store.remove(run);
    for (const stored of records) {
      const known = this.raised(stored);
      const record = this.afterBoot(known);
      const slot = new RunSlot(record);
      this.slots.set(record.run, slot);
      if (record.revision !== known.revision) this.kept(slot);
      const entry = wanted?.find(({ run }) => run === record.run);
      const stays = wanted === undefined || (entry !== undefined && sameProgram(entry, record.entry));
      if (stays && this.takeOver(slot) && slot.live) {
        // It is attached already, and the disk says so: this is no step that would have to wait for the disk.
        this.set(slot, advance(slot.record, 'ATTACHED', { inKernel: slot.live.kernel.ids, adopted: true }));
        log('info', 'run.adopted', { run: record.run });
      } else {
        kernel.removePins(record.run);
        slot.record = { ...record, inKernel: null };
      }
    }
    for (const run of kernel.pinnedRuns().filter((name) => !this.slots.has(name))) {
      log('warn', 'run.orphan', { run });
      kernel.removePins(run);
    }
    this.measure();
  }

  private afterBoot(known: RunRecord): RunRecord {
    const { now, boots, kernelKey } = this.options;
    const record = afterBoot(onKernel(known, kernelKey), now().bootId, boots.crash);
    return boots.heldUntil === undefined ? record : held(record, boots.heldUntil);
  }

  /** From the kernel, for how earlier boots ended. */
  private kept({ run, record }: RunSlot): void {
    const event = record.state === 'SUSPECT_CRASH' ? 'run.suspected' : 'run.held';
    this.options.log('error', event, { run, message: record.error?.message ?? '' });
    this.options.store.saveSoon(record);
    this.options.onChange(run);
  }

  /** Call it now and then: what has run long enough is no longer suspected when the device goes down. */
  checkSoaked(): void {
    const now = this.options.now();
    for (const slot of this.slots.values()) {
      const record = slot.live && !slot.busy ? soaked(slot.record, slot.live.since, now) : undefined;
      if (record === undefined) continue;
      slot.record = record;
      this.options.store.saveSoon(record);
    }
  }

  /** Cheap, and safe to call at any time. */
  reconcile(): void {
    const desired = this.options.desired();
    if (this.closing || !desired) return;
    const actual = new Map([...this.slots].map(([run, slot]) => [run, slot.actual]));
    const actions = reconcile(desired, actual, {
      now: this.options.now(),
      kernel: this.options.kernelKey,
      leaseElapsedSeconds: this.options.leaseElapsedSeconds(),
      held: this.options.boots.heldUntil !== undefined,
    });
    for (const action of actions) this.carryOut(action);
  }

  /** The budget fuse. Call it once a second or so; its windows are longer. */
  checkBudgets(): void {
    const { seconds } = this.options.now();
    for (const slot of this.slots.values()) {
      if (!slot.live || slot.busy) continue;
      const runTimeNs = slot.live.kernel.programs().reduce((sum, program) => sum + BigInt(program.runTimeNs), 0n);
      const verdict = measureCpu(slot.live.fuse, { runTimeNs, seconds }, slot.record.entry.budget.cpuPercent);
      if (!verdict) continue;
      slot.live.fuse = verdict.fuse;
      if (verdict.blown) this.blow(slot, verdict.cpuPercent);
    }
  }

  reports(withLog = false): RunReport[] {
    return [...this.slots.values()]
      .filter(({ record }) => record.state !== 'REMOVED')
      .map((slot) => reportOf(slot, this.measured, withLog));
  }

  report(run: string): RunReport | undefined {
    const slot = this.slots.get(run);
    return slot && reportOf(slot, this.measured, true);
  }

  /** Of every run that has or may soon have something in the kernel. */
  leases(): { run: string; leaseSeconds: number }[] {
    return [...this.slots.values()]
      .filter(({ live, busy }) => live !== undefined || busy !== undefined)
      .map(({ run, record }) => ({ run, leaseSeconds: record.entry.leaseSeconds }));
  }

  /** What the maps take of every run in the kernel but this one. */
  mapBytesBeside(run: string): number {
    return [...this.slots.values()].reduce((sum, slot) => {
      return slot.run === run ? sum : sum + (slot.live?.plan.mapBytes ?? 0);
    }, 0);
  }

  get runs(): string[] {
    return [...this.slots.keys()];
  }

  /** The server knows that this run is gone: nothing is left to say about it. */
  forgetRemoved(run: string): void {
    if (this.slots.get(run)?.record.state !== 'REMOVED') return;
    this.slots.delete(run);
    this.options.store.remove(run);
  }

  /** What runs here, or did and may again: their releases are still needed. */
  entries(): DesiredEntry[] {
    return [...this.slots.values()].map(({ record }) => record.entry);
  }

  /** What failed for the disk alone, or for the link, need not wait longer now that it is there. */
  retryNow(codes: readonly AgentErrorCode[]): void {
    for (const slot of this.slots.values()) {
      const { state, error } = slot.record;
      if (state !== 'FAILED' || !codes.some((code) => code === error?.code)) continue;
      slot.record = { ...slot.record, attempts: 0, retryAt: this.options.now() };
      this.options.store.saveSoon(slot.record);
    }
    this.reconcile();
  }

  /** Counters on the disk, so that a crash costs little of them. */
  saveCounters(): void {
    for (const slot of this.slots.values()) {
      if (!slot.live) continue;
      const { rateDrops, spoolDrops, eventsSeen } = slot.live.telemetry.counters();
      const news = `${rateDrops} ${spoolDrops} ${eventsSeen}`;
      // Each save is two fsyncs, which a worn card takes long over.
      if (slot.savedCounters === news) continue;
      slot.savedCounters = news;
      // The kernel's own counters live on with its programs and are added when those go.
      this.options.store.saveSoon({
        ...slot.record,
        counters: { ...slot.record.counters, rateDrops, spoolDrops, eventsSeen },
      });
    }
  }

  /**
   * `leave` keeps what is pinned for a successor; else nothing of this agent stays in the kernel. All runs at once, since whoever
   * stops a service waits some ten seconds only: each of these steps may wait for the disk or for the kernel's grace periods.
   */
  async close(mode: 'detach' | 'leave'): Promise<void> {
    this.closing = true;
    for (const slot of this.slots.values()) slot.abort.abort();
    await Promise.all([...this.slots.values()].map(({ job }) => job));
    const slots = [...this.slots.values()].filter(({ live }) => live !== undefined);
    if (mode === 'detach') for (const { live } of slots) live?.kernel.detach();
    await this.options.sampler.remove(slots.map(({ run }) => run));
    for (const slot of slots) {
      if (mode === 'detach') this.leaveKernel(slot);
      else this.letGo(slot, false);
      this.options.store.saveSoon(slot.record);
    }
  }

  /** One that cannot be taken over is taken out and started anew: it must not keep the agent from starting. */
  private takeOver(slot: RunSlot): boolean {
    try {
      if (!this.starter.adopt(slot) || !slot.live) return false;
      this.options.sampler.add(slot.live.telemetry);
      return true;
    } catch (error) {
      this.options.log('error', 'run.not-adopted', { run: slot.run, ...errorFacts(error) });
      slot.live?.kernel.close({ unpin: true });
      slot.live = undefined;
      return false;
    }
  }

  private carryOut(action: Action): void {
    switch (action.kind) {
      case 'start':
        return this.start(action.entry);
      case 'stop':
        return this.stop(action.run, action.reason);
      case 'update':
        return this.update(action.entry);
    }
  }

  private start(entry: DesiredEntry): void {
    const slot = this.slots.get(entry.run) ?? new RunSlot(this.raised(newRecord(entry, this.options.kernelKey)));
    this.slots.set(entry.run, slot);
    slot.busy = 'start';
    slot.abort = new AbortController();
    this.chain(slot, async () => {
      if (slot.live) await this.takeDown(slot);
      const begun = sameProgram(slot.record.entry, entry) && slot.record.state !== 'REMOVED';
      // Another program under the same id begins its counters and its time anew.
      if (!begun) slot.record = { ...newRecord(entry, ''), revision: slot.record.revision };
      slot.record = afterHold(slot.record, this.options.now().bootId);
      this.move(slot, 'ACCEPTED', { entry, kernel: this.options.kernelKey, inKernel: null });
      this.options.boots.arm();
      try {
        await this.starter.start(slot, entry);
        if (slot.live) this.options.sampler.add(slot.live.telemetry);
      } catch (error) {
        this.failed(slot, error);
      }
    });
  }

  private stop(run: string, reason: StopReason): void {
    const slot = this.slots.get(run);
    if (!slot) return;
    slot.abort.abort();
    slot.busy = 'stop';
    this.chain(slot, async () => {
      await this.takeDown(slot);
      if (reason !== 'LEASE_LAPSED') return this.set(slot, advance(slot.record, reason));
      const error = { code: reason, message: 'no word from the server for longer than the lease' };
      // Due at once, but the lease must be renewed first.
      this.set(slot, advance(slot.record, 'FAILED', { error, retryAt: this.options.now() }));
    });
  }

  private update(entry: DesiredEntry): void {
    const slot = this.slots.get(entry.run);
    if (!slot || sameTerms(slot.record.entry, entry)) return;
    slot.record = { ...slot.record, entry };
    this.options.store.saveSoon(slot.record);
    slot.live?.telemetry.setEventsPerSecond(entry.budget.eventsPerSecond, this.options.now().seconds);
  }

  private blow(slot: RunSlot, cpuPercent: number): void {
    const budget = slot.record.entry.budget.cpuPercent;
    const message = `its programs took ${cpuPercent.toFixed(2)} % of a CPU, the budget is ${budget} %`;
    slot.busy = 'stop';
    this.chain(slot, async () => {
      await this.takeDown(slot);
      const when = { now: this.options.now(), random: 0, again: false };
      this.set(slot, fail(slot.record, { code: 'BUDGET_CPU', message }, when));
    });
  }

  private failed(slot: RunSlot, error: unknown): void {
    const facts = errorFacts(error);
    // Whoever cut it short says what the run is now.
    if (facts.code === 'ABORTED') return;
    const bounded = boundedError({ ...facts, log: error instanceof AgentError ? error.log : undefined });
    this.options.log('warn', 'run.failed', { run: slot.run, ...facts });
    if (rejections.has(facts.code)) return this.set(slot, reject(slot.record, bounded, this.options.kernelKey));
    const when = { now: this.options.now(), random: this.options.random(), again: true };
    this.set(slot, fail({ ...slot.record, inKernel: null }, bounded, when));
  }

  /** Out of the kernel, after everything it still had was saved. */
  private async takeDown(slot: RunSlot): Promise<void> {
    if (slot.live) {
      slot.live.kernel.detach();
      await this.options.sampler.remove([slot.run]);
    }
    this.leaveKernel(slot);
  }

  private leaveKernel(slot: RunSlot): void {
    this.letGo(slot, true);
    this.options.kernel.removePins(slot.run);
    slot.record = { ...slot.record, inKernel: null };
  }

  private letGo(slot: RunSlot, unpin: boolean): void {
    const { live } = slot;
    if (!live) return;
    const { rateDrops, spoolDrops, eventsSeen, ...kernelCounters } = live.telemetry.counters();
    // What stays pinned goes on counting in the kernel: only our own counters are carried over.
    const kept = unpin ? kernelCounters : {};
    slot.record = { ...slot.record, counters: { ...slot.record.counters, ...kept, rateDrops, spoolDrops, eventsSeen } };
    live.kernel.close({ unpin });
    slot.live = undefined;
    this.measure();
  }

  private chain(slot: RunSlot, work: () => Promise<void>): void {
    const job = slot.job.then(work).catch((error: unknown) => this.failed(slot, error));
    slot.job = job.then(() => {
      if (slot.job === last) slot.busy = undefined;
      this.measure();
    });
    const last = slot.job;
  }

  private measure(): void {
    this.measured = this.options.kernel.measure([...this.slots.values()].some(({ live }) => live !== undefined));
  }

  /** The state that the next step leads to, on the disk before the step is taken. @throws AgentError STATE_UNWRITABLE */
  move(slot: RunSlot, state: ReportedRunState, change: Partial<RunRecord> = {}): void {
    const record = advance(slot.record, state, change);
    this.options.store.save(record);
    this.tell(slot, record);
  }

  private raised(record: RunRecord): RunRecord {
    return { ...record, revision: Math.max(record.revision, this.options.revisionFloor) };
  }

  /** What has happened, whether or not the disk can be told at once. */
  private set(slot: RunSlot, record: RunRecord): void {
    this.options.store.saveSoon(record);
    this.tell(slot, record);
  }

  private tell(slot: RunSlot, record: RunRecord): void {
    slot.record = record;
    this.options.log('info', 'run.state', { run: record.run, state: record.state, revision: record.revision });
    this.options.onChange(record.run);
  }
}
