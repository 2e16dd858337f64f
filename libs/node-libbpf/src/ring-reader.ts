import { requireBuffer, requireUint64 } from './arguments.js';
import { argumentError, attempt, closedError, LibbpfError } from './errors.js';
import { BpfMap } from './map.js';
import type { NativeRing } from './native.js';
import { native } from './native.js';
import type { WaitOptions } from './wake-up.js';
import { WakeUp } from './wake-up.js';

export interface Drained {
  /** How much of the target was filled. */
  bytes: number;
  records: number;
  /** What to commit once these records are safe. */
  position: bigint;
  /** A record is waiting that did not fit into the target any more. */
  more: boolean;
}

/** What a ring buffer and its fallback, the perf buffer, have in common. */
export interface RecordReader {
  readonly name: string;
  readonly closed: boolean;
  drain(target: Buffer): Drained;
  commit(position: bigint): void;
  wait(options?: WaitOptions): Promise<boolean>;
  close(): void;
}

export interface ReaderOptions {
  /**
   * Makes wait() possible: an epoll set, which takes one descriptor and one more for each of the reader's. Without it a
   * reader is drained from a timer, which costs programs nothing.
   */
  wakeUps?: boolean;
}

/** @internal Closes the reader when it cannot be had: half an open reader is none. */
export function openWakeUp(
  operation: string,
  descriptors: readonly number[],
  reader: { hasFinished(): boolean; close(): void },
): WakeUp {
  try {
    return new WakeUp(operation, descriptors, () => reader.hasFinished());
  } catch (error) {
    reader.close();
    throw error;
  }
}

/**
 * Reads a BPF_MAP_TYPE_RINGBUF (≥ 5.8) through a mapping of its own, in two steps: drain() copies, commit() frees the space.
 * What was drained and not committed is met again by the next reader of the map, also after a crash. One reader at a time.
 * Positions count bytes since the ring was made, in 64 bits also where the kernel counts in 32.
 */
export class RingReader implements RecordReader {
  readonly dataBytes: number;
  readonly name: string;
  #native: NativeRing | undefined;
  readonly #wakeUp: WakeUp | undefined;
  // Reused, so that a call allocates nothing but its small result.
  readonly #result = new BigUint64Array(4);

  /** Starts at the last commit. The map may be closed afterwards. */
  constructor(map: BpfMap, options: ReaderOptions = {}) {
    if (!(map instanceof BpfMap)) throw argumentError('open ring', 'expected a BpfMap');
    const operation = `open ring ${map.name}`;
    if (map.type !== 'ringbuf') throw argumentError(operation, `a ${map.type} map is not a ring buffer`);
    const ring = new native.NativeRing();
    const fd = map.fd;
    attempt('BPF_RING', operation, () => ring.open(fd));
    this.#native = ring;
    this.name = map.name;
    this.dataBytes = ring.dataBytes();
    if (options.wakeUps === true) this.#wakeUp = openWakeUp(operation, [fd], ring);
  }

  get closed(): boolean {
    return this.#native === undefined;
  }

  /**
   * Copies finished records, from where the last drain stopped, as `u32 length (little endian), bytes, zeros up to a multiple
   * of 8`. Stops at a record that its program has not submitted yet, and where the next does not fit. Discarded records are
   * skipped. Throws BPF_RING when a record is larger than the whole target (EMSGSIZE) or the ring is damaged (EBADMSG).
   */
  drain(target: Buffer): Drained {
    const operation = `drain ring ${this.name}`;
    const ring = this.#opened(operation);
    requireBuffer(operation, 'target', target);
    const error = ring.drain(target, this.#result);
    if (error < 0) throw new LibbpfError('BPF_RING', operation, -error);
    const result = this.#result;
    const records = result[1] ?? 0n;
    const waitingBytes = result[3] ?? 0n;
    if (records === 0n && waitingBytes > 0n) {
      throw new LibbpfError(
        'BPF_RING',
        operation,
        90,
        `a record needs ${waitingBytes} bytes, the target has ${target.length}`,
      );
    }
    return {
      bytes: Number(result[0]),
      records: Number(records),
      position: result[2] ?? 0n,
      more: waitingBytes > 0n,
    };
  }

  /** Frees the ring up to a position that drain() returned. Throws BPF_RING (ERANGE) for any that was not drained. */
  commit(position: bigint): void {
    const operation = `commit ring ${this.name}`;
    const ring = this.#opened(operation);
    requireUint64(operation, 'position', position);
    const error = ring.commit(position);
    if (error < 0) throw new LibbpfError('BPF_RING', operation, -error);
  }

  /**
   * Waits until there is something to drain: true, or false when the time is over or the reader was closed. Needs
   * `{ wakeUps: true }`. What was drained must be committed before (BPF_ARGUMENT): the kernel wakes a reader only for the record
   * at which the commit stands, not for those behind it, and for none that its program submits with BPF_RB_NO_WAKEUP, so
   * give a `timeoutMs` where programs do that. One wait at a time; it keeps the process alive.
   */
  async wait(options: WaitOptions = {}): Promise<boolean> {
    const operation = `wait for ring ${this.name}`;
    const ring = this.#opened(operation);
    if (this.#wakeUp === undefined) throw argumentError(operation, 'open the reader with { wakeUps: true }');
    if (ring.drainPosition() !== ring.consumerPosition()) {
      throw argumentError(operation, 'commit what was drained: the kernel wakes no reader that lags behind');
    }
    return this.#wakeUp.wait(options);
  }

  /** The last commit. */
  get consumerPosition(): bigint {
    return this.#opened('read position').consumerPosition();
  }

  /** Where the next record will begin; the difference to consumerPosition is what the ring holds. */
  get producerPosition(): bigint {
    return this.#opened('read position').producerPosition();
  }

  /** Idempotent. Commits nothing. */
  close(): void {
    this.#wakeUp?.close();
    this.#native?.close();
    this.#native = undefined;
  }

  #opened(operation: string): NativeRing {
    if (this.#native === undefined) throw closedError(`${operation} (ring ${this.name})`);
    return this.#native;
  }
}
