import { join } from 'node:path';
import { AgentError } from '../agent-error.js';
import { fullJitterMs, stateBackoff } from '../core/backoff.js';
import { errorFacts, type Log } from '../log.js';
import { realStatePort, type StatePort, type StateWriter } from './state-port.js';

export interface StateDiskOptions {
  readonly folder: string;
  /** CLOCK_MONOTONIC in milliseconds. */
  readonly monotonicMs: () => number;
  readonly random: () => number;
  readonly log: Log;
  readonly port?: StatePort;
}

/**
 * The state folder's disk, which may be full, broken or read-only for a while: the agent outlives that. What may come late
 * is kept in memory, the newest of each file, and tried again later and later; what must be on the disk first fails with
 * STATE_UNWRITABLE. Each change between the two conditions is logged once.
 */
export class StateDisk implements StateWriter {
  /** null: to be removed. Bounded by the number of files, of which the runs are the most. */
  private readonly waiting = new Map<string, Uint8Array | null>();
  /** Since when it refuses, in numbers; undefined while all is well. `bytes` is the largest write that failed. */
  private trouble: { failures: number; attempts: number; dueAtMs: number; bytes: number } | undefined;
  private readonly port: StatePort;
  /** The disk takes again what it had refused. */
  onWritable: () => void = () => undefined;

  constructor(private readonly options: StateDiskOptions) {
    this.port = options.port ?? realStatePort;
  }

  get writable(): boolean {
    return this.trouble === undefined;
  }

  /** @throws AgentError STATE_UNWRITABLE */
  write(path: string, bytes: Uint8Array): void {
    this.attempt(path, bytes.length, () => this.port.replace(path, bytes));
    // What had waited is older than this.
    this.waiting.delete(path);
  }

  writeSoon(path: string, bytes: Uint8Array): void {
    this.soon(path, bytes);
  }

  /** @throws AgentError STATE_UNWRITABLE */
  overwrite(path: string, bytes: Uint8Array): void {
    this.attempt(path, bytes.length, () => this.port.overwrite(path, bytes));
  }

  remove(path: string): void {
    this.soon(path, null);
  }

  /** @throws AgentError STATE_UNWRITABLE */
  attempt(path: string, bytes: number, work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.failed(path, bytes, cause);
      const { code, message } = errorFacts(cause);
      throw new AgentError('STATE_UNWRITABLE', `the state folder cannot be written: ${message}`, { errno: code });
    }
  }

  /** Call it once a second or so: tries what waits when its time has come. */
  tick(): void {
    if (this.trouble && this.options.monotonicMs() >= this.trouble.dueAtMs) this.retry();
  }

  /** Everything that waits, once, whatever the time: before the process ends. */
  flush(): void {
    if (this.trouble) this.retry();
  }

  private soon(path: string, bytes: Uint8Array | null): void {
    this.waiting.set(path, bytes);
    // A disk that refuses is asked again at its time, not with each of a thousand changes.
    if (this.trouble && this.options.monotonicMs() < this.trouble.dueAtMs) return;
    this.tryWaiting(path, bytes);
  }

  private tryWaiting(path: string, bytes: Uint8Array | null): boolean {
    try {
      if (bytes) this.port.replace(path, bytes);
      else this.port.remove(path);
    } catch (cause) {
      this.failed(path, bytes?.length ?? 0, cause);
      return false;
    }
    this.waiting.delete(path);
    return true;
  }

  private failed(path: string, bytes: number, cause: unknown): void {
    if (!this.trouble) {
      const dueAtMs = this.options.monotonicMs() + fullJitterMs(0, stateBackoff, this.options.random());
      this.trouble = { failures: 0, attempts: 0, dueAtMs, bytes };
      this.options.log('error', 'state.unwritable', { path, ...errorFacts(cause) });
    }
    this.trouble.failures += 1;
    this.trouble.bytes = Math.max(this.trouble.bytes, bytes);
  }

  private retry(): void {
    const { trouble } = this;
    if (!trouble) return;
    // Later first: what is asked of the disk below must not ask once more.
    trouble.attempts += 1;
    trouble.dueAtMs = this.options.monotonicMs() + fullJitterMs(trouble.attempts, stateBackoff, this.options.random());
    for (const [path, bytes] of [...this.waiting]) if (!this.tryWaiting(path, bytes)) return;
    if (!this.hasRoom(trouble.bytes)) return;
    this.trouble = undefined;
    this.options.log('info', 'state.writable', { failures: trouble.failures });
    this.onWritable();
  }

  /** A disk with room for a small file alone would be called well and ill in turns. */
  private hasRoom(bytes: number): boolean {
    const path = join(this.options.folder, 'room.probe');
    try {
      this.port.replace(path, Buffer.alloc(bytes));
      return true;
    } catch (cause) {
      this.failed(path, bytes, cause);
      return false;
    } finally {
      this.removeProbe(path);
    }
  }

  private removeProbe(path: string): void {
    try {
      for (const file of [path, `${path}.previous`]) this.port.remove(file);
    } catch {
      // It is overwritten the next time.
    }
  }
}
