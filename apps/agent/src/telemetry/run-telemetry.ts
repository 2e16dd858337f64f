import type { TelemetryPlan } from '@bpfleet/probe';
import type { RunStats } from '@bpfleet/wire';
import { EventRate } from '../core/budget.js';
import { addCounters, type RunCounters } from '../core/run-record.js';
import type { KernelRun, Ring, SnapshotMap } from '../kernel/port.js';
import { MapDiff } from './map-diff.js';
import type { BatchSource } from './sealer.js';
import { StackDiff } from './stack-diff.js';

export interface RingState {
  readonly name: string;
  readonly ring: Ring;
}

export interface MapState {
  readonly name: string;
  readonly map: SnapshotMap;
  readonly diff: MapDiff;
}

export interface StackState {
  readonly name: string;
  readonly map: SnapshotMap;
  readonly diff: StackDiff;
}

export interface RunTelemetryOptions {
  readonly run: string;
  readonly release: string;
  readonly plan: TelemetryPlan;
  readonly kernel: KernelRun;
  /** What earlier loads of this run have counted. */
  readonly earlier: RunCounters;
  readonly eventsPerSecond: number;
  readonly nowSeconds: number;
  /** Labels that are interface indexes need the machine's names for them. */
  readonly wantsInterfaces: boolean;
}

/** What is read from one live run, and what was counted while it was. */
export class RunTelemetry {
  readonly rings: readonly RingState[];
  readonly maps: readonly MapState[];
  readonly stacks: readonly StackState[];
  readonly wantsInterfaces: boolean;
  /** When the next whole picture is due, on the sampler's clock; now, at first. */
  keyframeAtMs = 0;
  private rate: EventRate;
  private counted = { rateDrops: 0, spoolDrops: 0, eventsSeen: 0 };

  constructor(private readonly options: RunTelemetryOptions) {
    const { plan, kernel } = options;
    this.rings = plan.rings.map(({ map }) => ({ name: map, ring: kernel.ring(map) }));
    this.maps = plan.snapshots.map(({ map }) => {
      const handle = kernel.map(map);
      const diff = new MapDiff(handle.keyBytes, handle.valueBufferBytes, handle.type.endsWith('array'));
      return { name: map, map: handle, diff };
    });
    this.stacks = plan.stacks.map(({ map }) => {
      const handle = kernel.map(map);
      return { name: map, map: handle, diff: new StackDiff(handle.valueBufferBytes) };
    });
    this.rate = new EventRate(options.eventsPerSecond, options.nowSeconds);
    this.wantsInterfaces = options.wantsInterfaces;
  }

  get run(): string {
    return this.options.run;
  }

  setEventsPerSecond(eventsPerSecond: number, nowSeconds: number): void {
    this.rate = new EventRate(eventsPerSecond, nowSeconds);
  }

  /** How many of the drained records may be sent; the others are counted. */
  admit(records: number, nowSeconds: number): number {
    const granted = this.rate.take(records, nowSeconds);
    this.counted.eventsSeen += records;
    this.counted.rateDrops += records - granted;
    return granted;
  }

  countSpoolDrops(records: number): void {
    this.counted.spoolDrops += records;
  }

  get source(): BatchSource {
    return { run: this.options.run, release: this.options.release, drops: this.drops };
  }

  get drops(): RunStats['drops'] {
    // What has no ring cannot lose a record to a full one.
    const kernel = this.rings.length === 0 ? 0 : this.options.kernel.kernelDrops();
    const { earlier } = this.options;
    return {
      kernel: kernel === null ? null : earlier.kernelDrops + kernel,
      rate: earlier.rateDrops + this.counted.rateDrops,
      spool: earlier.spoolDrops + this.counted.spoolDrops,
    };
  }

  /** Everything since the run's first attach. */
  counters(): RunCounters {
    const programs = this.options.kernel.programs();
    return addCounters(this.options.earlier, {
      ...this.counted,
      runCount: programs.reduce((sum, { runCount }) => sum + runCount, 0),
      runTimeNs: programs.reduce((sum, { runTimeNs }) => sum + runTimeNs, 0),
      kernelDrops: this.options.kernel.kernelDrops() ?? 0,
    });
  }
}
