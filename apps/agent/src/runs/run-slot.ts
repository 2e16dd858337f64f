import type { CpuFuse } from '../core/budget.js';
import type { BootPoint } from '../core/lease.js';
import type { ActualRun } from '../core/reconcile.js';
import { actualOf, type RunRecord } from '../core/run-record.js';
import type { KernelRun } from '../kernel/port.js';
import type { RunTelemetry } from '../telemetry/run-telemetry.js';
import type { ReleasePlan } from './release-plan.js';

/** What is live of a run: all of it or nothing. */
export interface LiveRun {
  readonly kernel: KernelRun;
  readonly plan: ReleasePlan;
  readonly telemetry: RunTelemetry;
  /** When it was attached, or taken over. */
  readonly since: BootPoint;
  fuse: CpuFuse;
}

/** One run in memory: its record as on disk, what is live of it, and what is being done about it. */
export class RunSlot {
  live: LiveRun | undefined;
  busy: ActualRun['busy'];
  abort = new AbortController();
  /** What the disk was last told of its counters. */
  savedCounters: string | undefined;
  /** What is under way; never rejects. */
  job: Promise<void> = Promise.resolve();

  constructor(public record: RunRecord) {}

  get run(): string {
    return this.record.run;
  }

  get actual(): ActualRun {
    return actualOf(this.record, { live: this.live !== undefined, busy: this.busy });
  }
}
