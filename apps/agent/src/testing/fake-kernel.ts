import type { KernelIds } from '../core/run-record.js';
import type { Kernel, KernelRun, LoadRequest, Ring, SnapshotMap, SymbolTable } from '../kernel/port.js';

/** A ring in memory with libbpf's promises: drains from a cursor, forgets only what is committed. */
export class FakeRing implements Ring {
  readonly mapId = 7;
  readonly dataBytes = 4096;
  consumerPosition = 0n;
  readonly commits: bigint[] = [];
  private cursor = 0;

  /** `records` stay with the ring when its reader is gone. */
  constructor(readonly records: Buffer[]) {}

  /** What a successor finds: the same ring from the last commit on. */
  reopened(): FakeRing {
    const ring = new FakeRing(this.records);
    ring.consumerPosition = this.consumerPosition;
    ring.cursor = Number(this.consumerPosition / 16n);
    return ring;
  }

  drain(target: Buffer): { bytes: number; records: number; position: bigint; more: boolean } {
    let bytes = 0;
    let count = 0;
    for (const record of this.records.slice(this.cursor)) {
      if (bytes + 16 > target.length) return { bytes, records: count, position: this.position(count), more: true };
      target.fill(0, bytes, bytes + 16);
      target.writeUInt32LE(record.length, bytes);
      record.copy(target, bytes + 4);
      bytes += 16;
      count += 1;
    }
    return { bytes, records: count, position: this.position(count), more: false };
  }

  commit(position: bigint): void {
    this.consumerPosition = position;
    this.commits.push(position);
  }

  private position(count: number): bigint {
    this.cursor += count;
    return BigInt(this.cursor) * 16n;
  }
}

/** What is "in the kernel" outlives the agents that put it there, as pins do. */
export class FakeKernel implements Kernel {
  readonly cpus = 1;
  readonly features = [];
  readonly lacks = [];
  readonly pinned = new Map<string, FakeKernelRun>();
  measuring = false;
  private nextId = 1;

  load({ run }: Pick<LoadRequest, 'run'>): FakeKernelRun {
    const loaded = new FakeKernelRun(this, run, this.nextId++);
    this.pinned.set(run, loaded);
    return loaded;
  }

  adopt(run: string, ids: KernelIds): FakeKernelRun | undefined {
    const found = this.pinned.get(run);
    return found && found.ids.programs[0]?.id === ids.programs[0]?.id ? found : undefined;
  }

  pinnedRuns(): string[] {
    return [...this.pinned.keys()];
  }

  removePins(run: string): void {
    this.pinned.delete(run);
  }

  measure(on: boolean): boolean {
    this.measuring = on;
    return on;
  }

  readSymbols(): Promise<SymbolTable> {
    return Promise.resolve({ nameOf: () => undefined });
  }

  returnFreedMemory(): void {}

  close(): void {
    this.measuring = false;
  }
}

export class FakeKernelRun implements KernelRun {
  readonly hold = 'pinned' as const;
  attachments = 0;
  runTimeNs = 0;

  constructor(
    private readonly kernel: FakeKernel,
    private readonly run: string,
    private readonly id: number,
  ) {}

  get ids(): KernelIds {
    return { bootId: 'boot', programs: [{ name: 'p', id: this.id }], maps: [], links: [{ pin: 'p', id: this.id }] };
  }

  attach(): void {
    this.attachments += 1;
  }

  ring(): Ring {
    return new FakeRing([]);
  }

  map(): SnapshotMap {
    throw new Error('this fake has no maps');
  }

  programs() {
    return [{ name: 'p', id: this.id, tag: '00', runCount: 1, runTimeNs: this.runTimeNs }];
  }

  kernelDrops(): number | null {
    return null;
  }

  detach(): void {
    this.attachments = 0;
  }

  close({ unpin }: { unpin: boolean }): void {
    if (unpin) this.kernel.removePins(this.run);
  }
}
