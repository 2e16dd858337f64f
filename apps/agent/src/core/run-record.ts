import type { DesiredEntry } from '@bpfleet/trust';
import type { ReportedRunState, RunError } from '@bpfleet/wire';
import { fullJitterMs, hookBackoff, runBackoff } from './backoff.js';
import type { BootPoint } from './lease.js';
import type { ActualRun } from './reconcile.js';

/** What of a run is in the kernel, by name and kernel id, so that a successor can tell its own from a stranger's. */
export interface KernelIds {
  readonly bootId: string;
  readonly programs: readonly { readonly name: string; readonly id: number }[];
  readonly maps: readonly { readonly name: string; readonly id: number }[];
  /** `pin` is the file name under the run's folder; null where this kernel cannot pin such a link. */
  readonly links: readonly { readonly pin: string | null; readonly id: number | null }[];
}

/** Absolute since the run's first attach, over every load of it. */
export interface RunCounters {
  readonly runCount: number;
  readonly runTimeNs: number;
  readonly kernelDrops: number;
  readonly rateDrops: number;
  readonly spoolDrops: number;
  readonly eventsSeen: number;
}

export const noCounters: RunCounters = {
  runCount: 0,
  runTimeNs: 0,
  kernelDrops: 0,
  rateDrops: 0,
  spoolDrops: 0,
  eventsSeen: 0,
};

/** One run as it stands on disk. */
export interface RunRecord {
  readonly v: 1;
  readonly run: string;
  readonly entry: DesiredEntry;
  readonly state: ReportedRunState;
  readonly revision: number;
  readonly error: RunError | null;
  /** Failed attempts since the last success. */
  readonly attempts: number;
  readonly retryAt: BootPoint | null;
  /** Kernel that the state was reached on. */
  readonly kernel: string;
  readonly firstAttach: BootPoint | null;
  readonly inKernel: KernelIds | null;
  readonly adopted: boolean;
  /** Times in a row that the device went down with it, of which it may be the cause, until it has soaked. */
  readonly uncleanBoots: number;
  readonly soaked: boolean;
  /** What earlier loads have counted; a live load's own counters come on top. */
  readonly counters: RunCounters;
}

export function newRecord(entry: DesiredEntry, kernel: string): RunRecord {
  return {
    v: 1,
    run: entry.run,
    entry,
    state: 'ACCEPTED',
    revision: 1,
    error: null,
    attempts: 0,
    retryAt: null,
    kernel,
    firstAttach: null,
    inKernel: null,
    adopted: false,
    uncleanBoots: 0,
    soaked: false,
    counters: noCounters,
  };
}

/** The next state of a run: its revision rises by one, and what it does not say stays. */
export function advance(record: RunRecord, state: ReportedRunState, change: Partial<RunRecord> = {}): RunRecord {
  const calm = state === 'REJECTED' || state === 'FAILED' ? {} : { error: null, retryAt: null };
  return { ...record, ...calm, ...change, state, revision: record.revision + 1 };
}

/** Tried again later and later; a refusal for good has no time. */
export function fail(
  record: RunRecord,
  error: RunError,
  when: { now: BootPoint; random: number; again: boolean },
): RunRecord {
  const backoff = error.code === 'HOOK_MISSING' ? hookBackoff : runBackoff;
  const waitSeconds = fullJitterMs(record.attempts, backoff, when.random) / 1000;
  const retryAt = when.again ? { bootId: when.now.bootId, seconds: when.now.seconds + waitSeconds } : null;
  return advance(record, 'FAILED', { error, retryAt, attempts: record.attempts + 1 });
}

export function reject(record: RunRecord, error: RunError, kernel: string): RunRecord {
  return advance(record, 'REJECTED', { error, retryAt: null, kernel });
}

export function actualOf(record: RunRecord, now: { live: boolean; busy: ActualRun['busy'] }): ActualRun {
  return {
    entry: record.entry,
    state: record.state,
    busy: now.busy,
    live: now.live,
    retryAt: record.retryAt ?? undefined,
    budgetRefused: record.error?.code.startsWith('BUDGET_') ?? false,
    kernel: record.kernel,
    firstAttach: record.firstAttach ?? undefined,
  };
}

export function addCounters(a: RunCounters, b: Partial<RunCounters>): RunCounters {
  return {
    runCount: a.runCount + (b.runCount ?? 0),
    runTimeNs: a.runTimeNs + (b.runTimeNs ?? 0),
    kernelDrops: a.kernelDrops + (b.kernelDrops ?? 0),
    rateDrops: a.rateDrops + (b.rateDrops ?? 0),
    spoolDrops: a.spoolDrops + (b.spoolDrops ?? 0),
    eventsSeen: a.eventsSeen + (b.eventsSeen ?? 0),
  };
}
