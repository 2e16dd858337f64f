import { encodeBatch, ringSections, WireError, type BatchHeader, type Section, type Stream } from '@bpfleet/wire';
import type { RingMark } from '../store/spool-frame.js';
import type { HeldBatch, SealedBatch, Spool } from '../store/spool.js';

/** A packet of the broker is at most 100 KiB, topic and MQTT's own header included. */
const ENCODED_BYTES_MAX = 90 * 1024;

export interface BatchSource {
  readonly run: string;
  readonly release: string;
  readonly drops: BatchHeader['drops'];
}

export type BatchTime = BatchHeader['time'];

export interface MapChange {
  readonly map: string;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly cpus: number | undefined;
  readonly keyframe: boolean;
  readonly keys: Buffer;
  readonly values: Buffer;
  readonly gone: Buffer;
}

export interface DeviceName {
  readonly kind: 'ksym' | 'ifname' | 'cgroup';
  readonly id: string;
  readonly name: string;
}

interface Draft {
  readonly stream: Stream;
  readonly source: BatchHeader['source'];
  readonly count: number;
  readonly sections: readonly Section[];
  readonly cpus?: number;
  readonly keyframe?: boolean;
}

/**
 * Turns kernel bytes into numbered batches of a size that any broker takes. What is too large after deflate is halved
 * until it fits; batches wait here until one write brings them all into the spool.
 */
export class Sealer {
  private pending: SealedBatch[] = [];

  constructor(
    private readonly spool: Spool,
    private readonly time: () => BatchTime,
    /** One record alone was larger than a packet. */
    private readonly onOversized: (run: string, records: number) => void,
  ) {}

  get waiting(): number {
    return this.pending.length;
  }

  /** Records as `drain` copies them. The mark goes on the last batch, so that it counts only when all are there. */
  ring(from: BatchSource, map: string, drained: Buffer, mark: RingMark): void {
    const { count, sections } = ringSections(drained);
    if (count === 0) return;
    const before = this.pending.length;
    const sealed = this.seal(from, { stream: 'events', source: { kind: 'ring', map }, count, sections });
    if (!sealed) {
      const [left, right] = halveRecords(drained, count);
      if (!right) return this.onOversized(from.run, count);
      this.ring(from, map, left, mark);
      this.ring(from, map, right, mark);
    }
    const last = this.pending.length - 1;
    if (last < before) return;
    this.pending = this.pending.map((batch, index) =>
      index < before ? batch : { ...batch, ring: index === last ? mark : undefined },
    );
  }

  map(from: BatchSource, change: MapChange): void {
    const { keyBytes, valueBytes, keys, values, gone } = change;
    const count = keys.length / keyBytes;
    const sections = [section(keyBytes, keys), section(valueBytes, values), section(keyBytes, gone)];
    const source = { kind: 'map' as const, map: change.map };
    const { keyframe, cpus } = change;
    const draft = {
      stream: 'maps' as const,
      source,
      count,
      sections,
      keyframe,
      ...(cpus === undefined ? {} : { cpus }),
    };
    if (this.seal(from, draft)) return;
    const half = Math.floor(count / 2);
    const goneHalf = Math.floor(gone.length / keyBytes / 2) * keyBytes;
    if (half === 0 && goneHalf === 0) return this.onOversized(from.run, 0);
    // A part is not every entry of the map.
    const part = { ...change, keyframe: false };
    this.map(from, {
      ...part,
      keys: keys.subarray(0, half * keyBytes),
      values: values.subarray(0, half * valueBytes),
      gone: gone.subarray(0, goneHalf),
    });
    this.map(from, {
      ...part,
      keys: keys.subarray(half * keyBytes),
      values: values.subarray(half * valueBytes),
      gone: gone.subarray(goneHalf),
    });
  }

  /** `entries`: u32 id and u32 depth each; `addresses`: all of them, u64, in the order of the entries. */
  stacks(from: BatchSource, map: string, entries: Buffer, addresses: Buffer): void {
    const count = entries.length / 8;
    if (count === 0) return;
    const sections = [section(8, entries), section(8, addresses)];
    if (this.seal(from, { stream: 'maps', source: { kind: 'stacks', map }, count, sections })) return;
    if (count === 1) return this.onOversized(from.run, 0);
    const half = Math.floor(count / 2);
    let depth = 0;
    for (let index = 0; index < half; index++) depth += entries.readUInt32LE(index * 8 + 4);
    this.stacks(from, map, entries.subarray(0, half * 8), addresses.subarray(0, depth * 8));
    this.stacks(from, map, entries.subarray(half * 8), addresses.subarray(depth * 8));
  }

  names(from: BatchSource, map: string, names: readonly DeviceName[]): void {
    if (names.length === 0) return;
    const sections = [section(1, Buffer.from(JSON.stringify(names), 'utf8'))];
    if (this.seal(from, { stream: 'names', source: { kind: 'names', map }, count: names.length, sections })) return;
    const half = Math.floor(names.length / 2);
    if (half === 0) return;
    this.names(from, map, names.slice(0, half));
    this.names(from, map, names.slice(half));
  }

  /** Everything into the spool in one write. Throws when the disk does not take it; then it all waits for the next try. */
  flush(): HeldBatch[] {
    const stored = this.spool.append(this.pending);
    this.pending = [];
    return stored;
  }

  private seal(from: BatchSource, draft: Draft): boolean {
    const { stream, count, source, sections, cpus, keyframe } = draft;
    const number = this.spool.nextNumber(stream) + this.pending.filter((batch) => batch.stream === stream).length;
    const header = {
      stream,
      epoch: this.spool.epoch,
      number,
      run: from.run,
      release: from.release,
      source,
      count,
      ...(cpus === undefined ? {} : { cpus }),
      ...(keyframe === undefined ? {} : { keyframe }),
      time: this.time(),
      floor: this.spool.floor(stream),
      lost: this.spool.lost(stream).map(([first, last]): [number, number] => [first, last]),
      drops: from.drops,
    };
    const payload = encodeOrRefuse(header, sections);
    if (!payload || payload.length > ENCODED_BYTES_MAX) return false;
    this.pending.push({ stream, number, run: from.run, count, payload });
    return true;
  }
}

function encodeOrRefuse(header: Omit<BatchHeader, 'v' | 'sections'>, sections: readonly Section[]): Buffer | undefined {
  try {
    return encodeBatch(header, sections);
  } catch (error) {
    if (error instanceof WireError && error.code === 'WIRE_SIZE') return undefined;
    throw error;
  }
}

function section(stride: number, bytes: Uint8Array): Section {
  return stride >= 1 && stride <= 65_536 ? { stride, bytes } : { stride: 1, bytes };
}

/** Offset behind the first `records` records of drained bytes. */
export function recordsEnd(drained: Buffer, records: number): number {
  let at = 0;
  for (let index = 0; index < records && at + 4 <= drained.length; index++)
    at += (4 + drained.readUInt32LE(at) + 7) & ~7;
  return at;
}

function halveRecords(drained: Buffer, count: number): [Buffer, Buffer | undefined] {
  if (count < 2) return [drained, undefined];
  const middle = recordsEnd(drained, Math.floor(count / 2));
  return [drained.subarray(0, middle), drained.subarray(middle)];
}
