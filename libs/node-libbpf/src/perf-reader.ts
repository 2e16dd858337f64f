import { requireBuffer, requireInteger, requireUint64 } from './arguments.js';
import { argumentError, attempt, closedError, LibbpfError } from './errors.js';
import { BpfMap } from './map.js';
import type { NativePerf } from './native.js';
import { native } from './native.js';
import type { Drained, ReaderOptions, RecordReader } from './ring-reader.js';
import { openWakeUp } from './ring-reader.js';
import type { WaitOptions, WakeUp } from './wake-up.js';

/**
 * Reads a BPF_MAP_TYPE_PERF_EVENT_ARRAY (bpf_perf_event_output), for kernels below 5.8, with the face of RingReader. What
 * differs: one ring a CPU, so records are in order only within a CPU; each length is rounded up by the kernel so that length
 * and record fill a multiple of 8, with up to 7 bytes of padding at the end; the rings go with this reader, so what was not
 * committed is lost with the process; and the kernel counts what it could not write (`lost`).
 */
export class PerfReader implements RecordReader {
  readonly name: string;
  readonly dataBytesPerCpu: number;
  #native: NativePerf | undefined;
  readonly #wakeUp: WakeUp | undefined;
  #lost = 0n;
  readonly #result = new BigUint64Array(5);

  /** `dataBytesPerCpu`: pages times a power of two, of which every possible CPU takes that much. The map may be closed. */
  constructor(map: BpfMap, options: { dataBytesPerCpu: number } & ReaderOptions) {
    if (!(map instanceof BpfMap)) throw argumentError('open perf buffer', 'expected a BpfMap');
    const operation = `open perf buffer ${map.name}`;
    if (map.type !== 'perf_event_array') throw argumentError(operation, `a ${map.type} map is not a perf buffer`);
    const bytes = requireInteger(operation, 'dataBytesPerCpu', options.dataBytesPerCpu, 4096, 1 << 30);
    const reader = new native.NativePerf();
    const { fd } = map;
    attempt('BPF_RING', operation, () => reader.open(fd, bytes));
    this.#native = reader;
    this.name = map.name;
    this.dataBytesPerCpu = bytes;
    if (options.wakeUps === true) this.#wakeUp = openWakeUp(operation, reader.descriptors(), reader);
  }

  get closed(): boolean {
    return this.#native === undefined;
  }

  /** Records that found no room since this reader was opened, as far as it has drained; the kernel tells with the next record. */
  get lost(): bigint {
    return this.#lost;
  }

  /** As RingReader.drain. */
  drain(target: Buffer): Drained {
    const operation = `drain perf buffer ${this.name}`;
    const reader = this.#opened(operation);
    requireBuffer(operation, 'target', target);
    const error = reader.drain(target, this.#result);
    const [bytes = 0n, records = 0n, position = 0n, waitingBytes = 0n, lost = 0n] = this.#result;
    this.#lost = lost;
    if (error < 0) throw new LibbpfError('BPF_RING', operation, -error);
    if (records === 0n && waitingBytes > 0n) {
      const detail = `a record needs ${waitingBytes} bytes, the target has ${target.length}`;
      throw new LibbpfError('BPF_RING', operation, 90, detail);
    }
    return { bytes: Number(bytes), records: Number(records), position, more: waitingBytes > 0n };
  }

  /** As RingReader.commit: positions count what drain() has read of all CPUs. */
  commit(position: bigint): void {
    const operation = `commit perf buffer ${this.name}`;
    const reader = this.#opened(operation);
    requireUint64(operation, 'position', position);
    const error = reader.commit(position);
    if (error < 0) throw new LibbpfError('BPF_RING', operation, -error);
  }

  /** As RingReader.wait; what was drained need not be committed. */
  async wait(options: WaitOptions = {}): Promise<boolean> {
    const operation = `wait for perf buffer ${this.name}`;
    this.#opened(operation);
    if (this.#wakeUp === undefined) throw argumentError(operation, 'open the reader with { wakeUps: true }');
    return this.#wakeUp.wait(options);
  }

  /** Idempotent. */
  close(): void {
    this.#wakeUp?.close();
    this.#native?.close();
    this.#native = undefined;
  }

  #opened(operation: string): NativePerf {
    if (this.#native === undefined) throw closedError(`${operation} (perf buffer ${this.name})`);
    return this.#native;
  }
}
