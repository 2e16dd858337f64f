import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { errorFacts, type Log } from '../log.js';
import type { Ring } from '../kernel/port.js';
import type { BatchMeta } from '../store/spool-frame.js';
import type { HeldBatch, Spool } from '../store/spool.js';
import type { KernelSymbols } from './kernel-symbols.js';
import type { MapState, RingState, RunTelemetry, StackState } from './run-telemetry.js';
import { recordsEnd, Sealer, type BatchSource, type BatchTime, type DeviceName } from './sealer.js';

const DRAIN_BYTES = 256 * 1024;
/** One busy ring must not keep the others and the link waiting. */
const DRAINS_PER_TURN_MAX = 16;
const KEYFRAME_MS = 600_000;
const INTERFACES_MAX = 1024;

interface Unnamed {
  readonly source: BatchSource;
  readonly map: string;
  readonly addresses: Buffer;
}

export interface SamplerOptions {
  readonly spool: Spool;
  readonly symbols: KernelSymbols;
  readonly bootId: string;
  /** Of the kernel, which counts a ring's positions in words of its own. */
  readonly kernelBits: 32 | 64;
  readonly time: () => BatchTime;
  /** CLOCK_MONOTONIC in milliseconds. */
  readonly monotonicMs: () => number;
  /** Something new is in the spool, and safe. */
  readonly onStored: (batches: readonly HeldBatch[]) => void;
  readonly log: Log;
}

/**
 * Moves what the kernel has into the spool. The order is the promise: drain, seal, write, fsync, and only then commit, so
 * that a crash at any point loses nothing that the ring still holds.
 */
export class Sampler {
  private readonly runs = new Map<string, RunTelemetry>();
  private readonly sealer: Sealer;
  private readonly buffer = Buffer.allocUnsafeSlow(DRAIN_BYTES);
  private commits: { readonly run: string; readonly commit: () => void }[] = [];
  /** Written, and not yet known to be on the disk. */
  private unsynced: HeldBatch[] = [];
  /** The disk has refused something since they were written: a sync that succeeds now says nothing of them. */
  private suspect = false;
  /** Writes that the disk has refused since it last took one. */
  private refusals = 0;
  /** Where each ring was drained up to; commits trail behind. */
  private readonly positions = new WeakMap<Ring, bigint>();
  private queue: Promise<unknown> = Promise.resolve();
  /** Addresses of stacks that are sealed already, and whose names follow. */
  private unnamed: Unnamed[] = [];
  private naming: Promise<void> | undefined;
  private closed = false;

  constructor(private readonly options: SamplerOptions) {
    this.sealer = new Sealer(options.spool, options.time, (run, records) => {
      this.runs.get(run)?.countSpoolDrops(records);
      options.log('warn', 'telemetry.oversized', { run, records });
    });
  }

  add(telemetry: RunTelemetry): void {
    for (const state of telemetry.rings) this.skipSaved(state);
    this.runs.set(telemetry.run, telemetry);
  }

  /**
   * A last time everything, in one write, then nothing more of these runs but the names of what was written last. What a full
   * disk does not take waits in memory, at most one turn of each of their rings: nothing new is attached meanwhile that could be
   * removed again.
   */
  async remove(runs: readonly string[]): Promise<void> {
    await this.inTurn(async () => {
      const going = runs.flatMap((run) => this.runs.get(run) ?? []);
      if (this.options.spool.begun) {
        for (const telemetry of going) {
          this.guard(telemetry.run, () => this.drainRun(telemetry));
          this.guard(telemetry.run, () => this.snapshotRun(telemetry));
        }
        await this.store();
      } else {
        for (const telemetry of going)
          for (const { ring } of telemetry.rings) telemetry.countSpoolDrops(this.countLeft(ring));
      }
      // Their rings are about to be closed: a successor drains what was not committed once more.
      this.commits = this.commits.filter((waiting) => !runs.includes(waiting.run));
      for (const run of runs) this.runs.delete(run);
    });
    void this.nameAll();
  }

  /** Gives names that are under way `namesMs` to arrive; nothing is written from then on. */
  async close(namesMs: number): Promise<void> {
    await Promise.race([this.nameAll(), after(namesMs, undefined, { ref: false })]);
    this.unnamed = [];
    this.closed = true;
    await this.queue;
  }

  drain(): Promise<void> {
    return this.inTurn(async () => {
      if (!(await this.ready())) return;
      for (const telemetry of this.runs.values()) this.guard(telemetry.run, () => this.drainRun(telemetry));
      await this.store();
    });
  }

  /** The names of new kernel addresses come last and keep nothing else waiting: they may take seconds. */
  async snapshot(): Promise<void> {
    await this.inTurn(async () => {
      if (!(await this.ready())) return;
      for (const telemetry of this.runs.values()) this.guard(telemetry.run, () => this.snapshotRun(telemetry));
      await this.store();
    });
    await this.nameAll();
  }

  /** A batch was given up: the next snapshot of that run is whole again. */
  lost(batch: BatchMeta): void {
    const telemetry = this.runs.get(batch.run);
    telemetry?.countSpoolDrops(batch.stream === 'events' ? batch.count : 0);
    if (telemetry) telemetry.keyframeAtMs = 0;
    this.options.symbols.reset();
  }

  /**
   * Whether there is anywhere to put what is drained. If not it stays in its ring, and the kernel counts what a full ring
   * drops; drained records would only pile up here.
   */
  private async ready(): Promise<boolean> {
    if (!this.options.spool.begun) return false;
    return (this.sealer.waiting === 0 && this.unsynced.length === 0) || this.store();
  }

  /** Records that can go nowhere: no epoch is on the disk that they could be sealed under. */
  private countLeft(ring: Ring): number {
    let count = 0;
    for (let turn = 0; turn < DRAINS_PER_TURN_MAX; turn++) {
      const { records, more } = ring.drain(this.buffer);
      count += records;
      if (!more) break;
    }
    return count;
  }

  /** One after the other: commits belong to the drain before them. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.queue.then(work);
    this.queue = result.catch(() => undefined);
    return result;
  }

  private guard(run: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.options.log('warn', 'telemetry.unread', { run, ...errorFacts(error) });
    }
  }

  private drainRun(telemetry: RunTelemetry): void {
    for (const state of telemetry.rings) {
      for (let turn = 0; turn < DRAINS_PER_TURN_MAX; turn++) if (!this.drainOnce(telemetry, state)) break;
    }
  }

  private drainOnce(telemetry: RunTelemetry, { name, ring }: RingState): boolean {
    const from = this.positions.get(ring) ?? ring.consumerPosition;
    const { bytes, records, position, more } = ring.drain(this.buffer);
    this.positions.set(ring, position);
    if (position === from) return false;
    const granted = telemetry.admit(records, this.options.monotonicMs() / 1000);
    const kept = this.buffer.subarray(0, granted === records ? bytes : recordsEnd(this.buffer, granted));
    const mark = { boot: this.options.bootId, map: ring.mapId, from: from.toString(), bytes };
    this.sealer.ring(telemetry.source, name, kept, mark);
    this.commits.push({ run: telemetry.run, commit: () => ring.commit(position) });
    return more;
  }

  /**
   * A predecessor may have been killed between fsync and commit. What it saved is drained once more, exactly as it was,
   * and committed, not sealed a second time.
   */
  private skipSaved({ name, ring }: RingState): void {
    const start = ring.consumerPosition;
    for (const mark of this.options.spool.ringMarks(this.options.bootId, ring.mapId)) {
      // The predecessor counted in 64 bits, this agent begins at the kernel's word: on 32 bits only the distance says which of
      // the two lies behind the other.
      const ahead = BigInt.asUintN(this.options.kernelBits, BigInt(mark.from) - start);
      if (ahead >= BigInt(ring.dataBytes) || mark.bytes > this.buffer.length || mark.bytes === 0) continue;
      const { position } = ring.drain(this.buffer.subarray(0, mark.bytes));
      ring.commit(position);
      this.positions.set(ring, position);
      this.options.log('info', 'telemetry.skipped-saved', { map: name, bytes: mark.bytes });
    }
  }

  /** False when the disk did not take it all; then nothing is committed. */
  private async store(): Promise<boolean> {
    try {
      if (this.suspect) this.unsynced = this.options.spool.rewrite(this.unsynced);
      this.suspect = false;
      this.unsynced.push(...this.sealer.flush());
      if (this.unsynced.length > 0) await this.options.spool.sync();
    } catch (error) {
      this.refusals += 1;
      this.suspect = this.unsynced.length > 0;
      // Once, and then again when it is over: it is asked several times a second.
      if (this.refusals === 1)
        this.options.log('error', 'spool.unwritable', { waiting: this.sealer.waiting, ...errorFacts(error) });
      return false;
    }
    const stored = this.unsynced.splice(0);
    for (const { commit } of this.commits.splice(0)) commit();
    if (stored.length === 0) return true;
    if (this.refusals > 0) this.options.log('info', 'spool.writable', { refusals: this.refusals });
    this.refusals = 0;
    this.options.onStored(stored);
    return true;
  }

  private snapshotRun(telemetry: RunTelemetry): void {
    const now = this.options.monotonicMs();
    const keyframe = now >= telemetry.keyframeAtMs;
    if (keyframe) telemetry.keyframeAtMs = now + KEYFRAME_MS;
    if (keyframe && telemetry.wantsInterfaces) this.sealer.names(telemetry.source, 'interfaces', interfaceNames());
    for (const state of telemetry.stacks) this.snapshotStacks(telemetry, state, keyframe);
    for (const state of telemetry.maps) this.snapshotMap(telemetry, state, keyframe);
  }

  private snapshotMap(telemetry: RunTelemetry, { name, map, diff }: MapState, keyframe: boolean): void {
    const change = diff.take(map.readAll(), keyframe);
    if (!keyframe && change.keys.length === 0 && change.gone.length === 0) return;
    this.sealer.map(telemetry.source, {
      map: name,
      keyBytes: map.keyBytes,
      valueBytes: map.valueBufferBytes,
      cpus: map.perCpu ? map.valueBufferBytes / (Math.ceil(map.valueBytes / 8) * 8) : undefined,
      keyframe,
      ...change,
    });
  }

  private snapshotStacks({ source }: RunTelemetry, { name, map, diff }: StackState, keyframe: boolean): void {
    const { entries, addresses } = diff.take(map.readAll(), keyframe);
    this.sealer.stacks(source, name, entries, addresses);
    if (addresses.length > 0) this.unnamed.push({ source, map: name, addresses });
  }

  /** Between turns, so that rings are drained meanwhile. One at a time: who comes later waits for all that there is. */
  private nameAll(): Promise<void> {
    this.naming ??= this.nameUntilDone().finally(() => (this.naming = undefined));
    return this.naming;
  }

  private async nameUntilDone(): Promise<void> {
    for (let next = this.unnamed.shift(); next !== undefined; next = this.unnamed.shift()) {
      const { source, map, addresses } = next;
      try {
        const names = await this.options.symbols.resolveNew(addresses);
        if (names.length > 0) await this.inTurn(() => this.storeNames(source, map, names));
      } catch (error) {
        this.options.log('warn', 'telemetry.names', { run: source.run, ...errorFacts(error) });
      }
    }
    if ([...this.runs.values()].every(({ stacks }) => stacks.length === 0)) this.options.symbols.drop();
  }

  private async storeNames(source: BatchSource, map: string, names: readonly DeviceName[]): Promise<void> {
    if (this.closed) return;
    if (!this.options.spool.begun) return this.options.symbols.reset();
    this.sealer.names(source, map, names);
    await this.store();
  }
}

function interfaceNames(): DeviceName[] {
  try {
    return readdirSync('/sys/class/net')
      .slice(0, INTERFACES_MAX)
      .map((name) => ({
        kind: 'ifname' as const,
        id: readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8').trim(),
        name,
      }));
  } catch {
    return [];
  }
}
