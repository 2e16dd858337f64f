import { fdatasync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Stream } from '@bpfleet/wire';
import { AgentError } from '../agent-error.js';
import { errorFacts } from '../log.js';
import { addRange, type Range } from '../core/ranges.js';
import { diskRoom, reserveBytes, type DiskRoom } from './disk-room.js';
import { encodeFrame, type BatchMeta, type RingMark } from './spool-frame.js';
import type { SpoolLimits } from './spool-limits.js';
import { SpoolSegment, recoverSegment, setAside } from './spool-segment.js';

/** A sealed batch that nobody has acknowledged yet. */
export interface HeldBatch {
  readonly meta: BatchMeta;
  readonly segment: SpoolSegment;
  readonly offset: number;
  readonly bytes: number;
}

export interface SealedBatch {
  readonly stream: Stream;
  readonly number: number;
  readonly run: string;
  readonly count: number;
  readonly payload: Uint8Array;
  readonly ring?: RingMark | undefined;
}

const LOST_RANGES_MAX = 32;
const MARKS_PER_RING_MAX = 64;
const datasync = promisify(fdatasync);

function within(ranges: readonly Range[], number: number): boolean {
  return ranges.some(([from, to]) => number >= from && number <= to);
}

/**
 * Sealed batches on disk until the server has acknowledged them: an append-only log in segments. What is above its bounds
 * goes oldest segment first, so lowest numbers first, and is counted.
 */
export class Spool {
  /** By stream and epoch, then by number in rising order. */
  private readonly groups = new Map<string, Map<number, HeldBatch>>();
  private count = 0;
  private readonly segments: SpoolSegment[] = [];
  private readonly next = new Map<Stream, number>();
  private readonly lostRanges = new Map<Stream, Range[]>();
  private readonly marks = new Map<string, RingMark[]>();
  /** Opened by the first append: a disk without room must not keep an agent from starting. */
  private active: SpoolSegment | undefined;
  private total = 0;
  private currentEpoch = 0;
  private newestId = 0;
  /** Segments that could not be read when it was opened, as the disk told it. */
  readonly unreadable: ReturnType<typeof errorFacts>[] = [];

  /** `onDropped` hears of each batch that had to be given up. */
  constructor(
    private readonly folder: string,
    private readonly limits: SpoolLimits,
    /** Of a clock that never steps: the time of day of a device without one may jump by decades. */
    private readonly monotonicMs: () => number,
    private readonly onDropped: (batch: BatchMeta) => void,
    private readonly room: () => DiskRoom | undefined = () => diskRoom(folder),
  ) {
    this.recover();
  }

  /** The highest epoch that is on disk: a new one must be above it even if the epoch's own file is gone. */
  get newestEpoch(): number {
    return Math.max(0, ...[...this.groups.keys()].map((key) => Number(key.split('/')[1])));
  }

  /** Numbers begin at 0 in each epoch. */
  begin(epoch: number): void {
    this.currentEpoch = epoch;
  }

  /** Nothing may be sealed before: an epoch that is not on the disk could be used twice. */
  get begun(): boolean {
    return this.currentEpoch > 0;
  }

  get epoch(): number {
    return this.currentEpoch;
  }

  get bytes(): number {
    return this.total;
  }

  get batches(): number {
    return this.count;
  }

  nextNumber(stream: Stream): number {
    return this.next.get(stream) ?? 0;
  }

  lost(stream: Stream): readonly Range[] {
    return this.lostRanges.get(stream) ?? [];
  }

  /** Lowest number of this epoch that is still held, else the next to come. */
  floor(stream: Stream): number {
    const [lowest] = this.group(stream, this.currentEpoch)?.keys() ?? [];
    return lowest ?? this.nextNumber(stream);
  }

  /** Oldest epoch of the stream that is still held, and its lowest number; undefined when nothing is. */
  oldest(stream: Stream): { epoch: number; floor: number } | undefined {
    const epochs = [...this.groups.keys()]
      .filter((key) => key.startsWith(`${stream}/`))
      .map((key) => Number(key.slice(stream.length + 1)));
    if (epochs.length === 0) return undefined;
    const epoch = Math.min(...epochs);
    const [floor = 0] = this.group(stream, epoch)?.keys() ?? [];
    return { epoch, floor };
  }

  /** In the order in which they were sealed. */
  all(): HeldBatch[] {
    const batches = [...this.groups.values()].flatMap((group) => [...group.values()]);
    return batches.sort((a, b) => a.segment.id - b.segment.id || a.offset - b.offset);
  }

  /** Of one that was written anew, no: its successor is held. */
  has(batch: HeldBatch): boolean {
    const { stream, epoch, number } = batch.meta;
    return this.group(stream, epoch)?.get(number) === batch;
  }

  payload(batch: HeldBatch): Buffer {
    return batch.segment.read(batch.offset, batch.bytes);
  }

  /** Drains of this ring that were saved, oldest first: those that were never committed lie at or after the ring's position. */
  ringMarks(bootId: string, map: number): readonly RingMark[] {
    return this.marks.get(`${bootId}/${map}`) ?? [];
  }

  /**
   * One write for all; not on the disk before `sync`.
   * @throws AgentError SPOOL_NO_ROOM, or what the disk says when it does not take it; then none of them is held
   */
  append(batches: readonly SealedBatch[]): HeldBatch[] {
    if (batches.length === 0) return [];
    const metas = batches.map((batch) => this.metaOf(batch));
    const frames = batches.map((batch, index) => encodeFrame(metas[index] as BatchMeta, batch.payload));
    const bytes = Buffer.concat(frames);
    this.keepReserve(bytes.length);
    const active = this.makeRoom(bytes.length, batches.length);
    let at = active.append(bytes);
    this.total += bytes.length;
    return batches.map((batch, index) => {
      at += (frames[index] as Buffer).length;
      const meta = metas[index] as BatchMeta;
      this.next.set(batch.stream, batch.number + 1);
      return this.hold(meta, active, at - batch.payload.length, batch.payload.length);
    });
  }

  /** Everything that was appended is on the disk when this resolves. */
  async sync(): Promise<void> {
    if (this.active) await datasync(this.active.fd);
  }

  /**
   * After a sync that failed. The kernel tells a failed writeback once and calls the pages clean then (since 4.13 per descriptor):
   * a second sync of the same file would promise what nobody knows. These batches are written anew into another segment, which
   * must be synced as well. What they are read from is the page cache still, or the disk; a frame that is neither fails its CRC at
   * the next start, and its copy stands for it.
   */
  rewrite(batches: readonly HeldBatch[]): HeldBatch[] {
    const held = batches.filter((batch) => this.has(batch));
    const frames = held.map((batch) => encodeFrame(batch.meta, this.payload(batch)));
    const [suspect, active] = [this.active, this.openSegment()];
    let at = this.appendWhole(active, Buffer.concat(frames));
    this.active = active;
    const again = held.map((batch, index) => {
      at += (frames[index] as Buffer).length;
      return this.hold(batch.meta, active, at - batch.bytes, batch.bytes);
    });
    suspect?.close();
    if (suspect?.live === 0) this.removeSegment(suspect);
    return again;
  }

  /** Returns what was held and is settled now. */
  ack(stream: Stream, epoch: number, ranges: readonly Range[]): HeldBatch[] {
    const group = this.group(stream, epoch);
    if (!group) return [];
    const settled = ranges.flatMap(([from, to]) => batchesBetween(group, from, to));
    for (const batch of settled) {
      this.forget(batch);
      if (batch.segment.live === 0 && batch.segment !== this.active) this.removeSegment(batch.segment);
    }
    // So that a restart does not send them again. Losing this note costs only that.
    const note = {
      kind: 'ack' as const,
      stream,
      epoch,
      ranges: ranges.map(([from, to]): [number, number] => [from, to]),
    };
    if (settled.length > 0) this.note(encodeFrame(note, new Uint8Array()));
    return settled;
  }

  close(): void {
    for (const segment of this.segments) segment.close();
  }

  /** A segment that does not take its first bytes is none. */
  private appendWhole(segment: SpoolSegment, bytes: Buffer): number {
    try {
      const at = segment.append(bytes);
      this.total += bytes.length;
      return at;
    } catch (error) {
      this.removeSegment(segment);
      throw error;
    }
  }

  private metaOf(batch: SealedBatch): BatchMeta {
    const { stream, number, run, count, ring } = batch;
    const meta = { kind: 'batch' as const, stream, epoch: this.currentEpoch, number, run, count };
    return ring ? { ...meta, ring } : meta;
  }

  private group(stream: Stream, epoch: number): Map<number, HeldBatch> | undefined {
    return this.groups.get(`${stream}/${epoch}`);
  }

  private hold(meta: BatchMeta, segment: SpoolSegment, offset: number, bytes: number): HeldBatch {
    const batch = { meta, segment, offset, bytes };
    const key = `${meta.stream}/${meta.epoch}`;
    const group = this.groups.get(key) ?? new Map<number, HeldBatch>();
    // Written twice: the later copy counts.
    const before = group.get(meta.number);
    if (before) this.forget(before);
    this.groups.set(key, group.set(meta.number, batch));
    segment.live += 1;
    this.count += 1;
    return batch;
  }

  private forget({ meta, segment }: HeldBatch): void {
    const group = this.group(meta.stream, meta.epoch);
    if (!group?.delete(meta.number)) return;
    if (group.size === 0) this.groups.delete(`${meta.stream}/${meta.epoch}`);
    segment.live -= 1;
    this.count -= 1;
  }

  private note(frame: Buffer): void {
    try {
      // A segment of the last agent cannot be written to, and a note alone is no reason for a new one.
      this.active ??= this.openSegment();
      this.active.append(frame);
      this.total += frame.length;
    } catch {
      // A full disk; the batches are sent once more after a restart.
    }
  }

  private keepReserve(bytes: number): void {
    if (this.leavesReserve(bytes)) return;
    // Nothing in it is held any more: what it takes up can be had back.
    if (this.active?.live === 0 && this.active.bytes > 0) {
      const settled = this.active;
      this.active = undefined;
      this.removeSegment(settled);
      if (this.leavesReserve(bytes)) return;
    }
    throw new AgentError('SPOOL_NO_ROOM', 'the disk is down to the reserve that is left to others');
  }

  private leavesReserve(bytes: number): boolean {
    const room = this.room();
    return room === undefined || room.freeBytes - bytes >= reserveBytes(room, this.limits);
  }

  private makeRoom(bytes: number, batches: number): SpoolSegment {
    let active = (this.active ??= this.openSegment());
    if (active.bytes > 0 && active.bytes + bytes > this.limits.segmentBytesMax) active = this.roll(active);
    const tooOld = (): boolean => this.monotonicMs() - (this.segments[0]?.createdAtMs ?? 0) > this.limits.ageMsMax;
    while (
      this.segments.length > 1 &&
      (this.total + bytes > this.limits.bytesMax || this.count + batches > this.limits.batchesMax || tooOld())
    ) {
      this.dropOldest();
    }
    return active;
  }

  private roll(full: SpoolSegment): SpoolSegment {
    // What is not safe yet must be so before nobody syncs this file any more.
    full.flush();
    const active = this.openSegment();
    this.active = active;
    full.close();
    if (full.live === 0) this.removeSegment(full);
    return active;
  }

  private dropOldest(): void {
    const [segment] = this.segments;
    if (!segment) return;
    for (const batch of this.all().filter((held) => held.segment === segment)) {
      const { meta } = batch;
      this.forget(batch);
      this.onDropped(meta);
      if (meta.epoch !== this.currentEpoch) continue;
      this.lostRanges.set(meta.stream, addRange(this.lost(meta.stream), [meta.number, meta.number], LOST_RANGES_MAX));
    }
    this.removeSegment(segment);
  }

  private removeSegment(segment: SpoolSegment): void {
    const index = this.segments.indexOf(segment);
    if (index < 0) return;
    this.segments.splice(index, 1);
    this.total -= segment.bytes;
    segment.remove();
  }

  private openSegment(): SpoolSegment {
    this.newestId += 1;
    const segment = SpoolSegment.create(this.folder, this.newestId, this.monotonicMs());
    this.segments.push(segment);
    return segment;
  }

  private recover(): void {
    const ids = readdirSync(this.folder)
      .filter((name) => /^\d{12}\.log$/.test(name))
      .map((name) => Number(name.slice(0, 12)))
      .sort((a, b) => a - b);
    const acks: { stream: Stream; epoch: number; ranges: readonly Range[] }[] = [];
    for (const id of ids) {
      const recovered = this.recoverSegment(id);
      if (recovered === undefined) continue;
      const { segment, frames } = recovered;
      this.segments.push(segment);
      this.total += segment.bytes;
      for (const { meta, payloadOffset, payloadBytes } of frames) {
        if (meta.kind === 'ack') acks.push(meta);
        else this.hold(meta, segment, payloadOffset, payloadBytes);
        if (meta.kind === 'batch' && meta.ring) this.rememberMark(meta.ring);
      }
    }
    for (const { stream, epoch, ranges } of acks) {
      for (const batch of [...(this.group(stream, epoch)?.values() ?? [])]) {
        if (within(ranges, batch.meta.number)) this.forget(batch);
      }
    }
    for (const segment of this.segments.filter(({ live }) => live === 0)) this.removeSegment(segment);
    this.newestId = Math.max(0, ...ids);
  }

  /** A bad sector costs what lies there, not the agent. */
  private recoverSegment(id: number): ReturnType<typeof recoverSegment> | undefined {
    try {
      return recoverSegment(this.folder, id, this.monotonicMs());
    } catch (error) {
      this.unreadable.push(errorFacts(error));
      setAside(this.folder, id);
      return undefined;
    }
  }

  private rememberMark(mark: RingMark): void {
    const key = `${mark.boot}/${mark.map}`;
    this.marks.set(key, [...(this.marks.get(key) ?? []), mark].slice(-MARKS_PER_RING_MAX));
  }
}

/** Looks numbers up where the range is the smaller side, walks the group where that is. */
function batchesBetween(group: ReadonlyMap<number, HeldBatch>, from: number, to: number): HeldBatch[] {
  if (to - from >= group.size)
    return [...group.values()].filter(({ meta }) => meta.number >= from && meta.number <= to);
  const found: HeldBatch[] = [];
  for (let number = from; number <= to; number++) {
    const batch = group.get(number);
    if (batch) found.push(batch);
  }
  return found;
}
