import { requireInteger } from './arguments.js';
import { argumentError, attempt } from './errors.js';
import type { NativeWaker } from './native.js';
import { native } from './native.js';

export interface WaitOptions {
  /** Give up after so long; without it, wait for as long as it takes. */
  timeoutMs?: number;
  /** Rejects with its reason when it is aborted. */
  signal?: AbortSignal;
}

interface Waiting {
  settle: (ready: boolean) => void;
  fail: (reason: unknown) => void;
}

/**
 * @internal Lets a reader wait for the kernel: one epoll set with the reader's descriptors, which the event loop watches while
 * somebody waits. Edges that came before are remembered by the set, so none is lost between looking and waiting.
 */
export class WakeUp {
  readonly #native: NativeWaker;
  readonly #operation: string;
  readonly #isReady: () => boolean;
  #waiting: Waiting | undefined;

  constructor(operation: string, descriptors: readonly number[], isReady: () => boolean) {
    const waker = new native.NativeWaker();
    attempt('BPF_RING', operation, () => waker.open([...descriptors]));
    this.#native = waker;
    this.#operation = operation;
    this.#isReady = isReady;
  }

  async wait(options: WaitOptions): Promise<boolean> {
    const { timeoutMs, signal } = options;
    if (timeoutMs !== undefined) requireInteger(this.#operation, 'timeoutMs', timeoutMs, 0, 0x7fff_ffff);
    if (this.#waiting !== undefined) throw argumentError(this.#operation, 'somebody waits already: one at a time');
    signal?.throwIfAborted();
    const immediately = this.#isReady() || timeoutMs === 0;
    let end = () => undefined as void;
    const done = new Promise<boolean>((settle, fail) => {
      this.#waiting = { settle, fail };
      // Never in the same turn: a producer that is always ahead must not keep timers and sockets from their turns.
      if (immediately) {
        const turn = setImmediate(() => settle(this.#isReady()));
        end = () => clearImmediate(turn);
        return;
      }
      const timer = timeoutMs === undefined ? undefined : setTimeout(() => settle(this.#isReady()), timeoutMs);
      const onAbort = () => fail(signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      // A perf event tells of an edge once, and the set's own way into the event loop's can swallow that one if it came before.
      // The loop has surely taken the set in when it polls next, which is before the second turn of immediates from here.
      let turn = setImmediate(() => {
        turn = setImmediate(() => this.#look());
      });
      end = () => {
        clearTimeout(timer);
        clearImmediate(turn);
        signal?.removeEventListener('abort', onAbort);
      };
      attempt('BPF_RING', this.#operation, () => this.#native.arm(() => this.#look()));
    });
    try {
      return await done;
    } finally {
      end();
      this.#waiting = undefined;
      this.#native.disarm();
    }
  }

  /** Idempotent. Who waits is told that nothing came. */
  close(): void {
    const waiting = this.#waiting;
    this.#native.close();
    waiting?.settle(false);
  }

  // The edge may be an old one, of what was drained before anybody waited.
  #look(): void {
    if (this.#isReady()) this.#waiting?.settle(true);
  }
}
