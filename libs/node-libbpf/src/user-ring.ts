import { requireBuffer } from './arguments.js';
import { argumentError, attempt, closedError, LibbpfError } from './errors.js';
import { errnoName } from './errno.js';
import { BpfMap } from './map.js';
import type { NativeUserRing } from './native.js';
import { native } from './native.js';

/** The producer of a BPF_MAP_TYPE_USER_RINGBUF (≥ 6.1), which programs read with bpf_user_ringbuf_drain. One at a time. */
export class UserRingWriter {
  readonly name: string;
  #native: NativeUserRing | undefined;

  /** The map may be closed afterwards. */
  constructor(map: BpfMap) {
    if (!(map instanceof BpfMap)) throw argumentError('open user ring', 'expected a BpfMap');
    const operation = `open user ring ${map.name}`;
    if (map.type !== 'user_ringbuf') throw argumentError(operation, `a ${map.type} map is not a user ring buffer`);
    const ring = new native.NativeUserRing();
    const { fd } = map;
    attempt('BPF_RING', operation, () => ring.open(fd));
    this.#native = ring;
    this.name = map.name;
  }

  get closed(): boolean {
    return this.#native === undefined;
  }

  /** False when the ring is full. Throws BPF_RING (E2BIG) for a record that it could never hold. */
  write(record: Buffer): boolean {
    const operation = `write to user ring ${this.name}`;
    if (this.#native === undefined) throw closedError(operation);
    requireBuffer(operation, 'record', record);
    const error = this.#native.write(record);
    if (error < 0 && errnoName(-error) !== 'ENOSPC') throw new LibbpfError('BPF_RING', operation, -error);
    return error === 0;
  }

  /** Idempotent. */
  close(): void {
    this.#native?.close();
    this.#native = undefined;
  }
}
