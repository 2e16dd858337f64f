import type { PrivilegedAction } from './capabilities.js';
import { attempt, closedError, succeed } from './errors.js';
import type { NativeObject } from './native.js';

type Change = (object: NativeObject) => number;

/**
 * @internal The libbpf object behind a spec and all that was changed of it. libbpf takes some options only when it opens an
 * object, so for those it is opened again and changed the same.
 */
export class OpenedSpec {
  readonly #changes = new Map<string, { operation: string; apply: Change }>();
  #native: NativeObject | undefined;

  constructor(object: NativeObject) {
    this.#native = object;
  }

  /** Throws BPF_CLOSED after load() or close(). */
  opened(operation: string): NativeObject {
    if (this.#native === undefined) throw closedError(operation);
    return this.#native;
  }

  /** `what` names the thing that is changed: of two changes of one thing the later counts. */
  change(
    code: 'BPF_ARGUMENT' | 'BPF_MAP',
    operation: string,
    what: string,
    apply: Change,
    needs?: PrivilegedAction,
  ): number {
    const object = this.opened(operation);
    const result = attempt(code, operation, () => apply(object), needs);
    this.#changes.delete(what);
    this.#changes.set(what, { operation, apply });
    return result;
  }

  reopen(operation: string, open: () => NativeObject | number): void {
    const before = this.opened(operation);
    const object = succeed('BPF_OPEN', operation, open);
    try {
      for (const change of this.#changes.values())
        attempt('BPF_ARGUMENT', change.operation, () => change.apply(object));
    } catch (error) {
      object.close();
      throw error;
    }
    before.close();
    this.#native = object;
  }

  /** Hands the object over: the spec is used up. */
  take(operation: string): NativeObject {
    const object = this.opened(operation);
    this.#native = undefined;
    return object;
  }

  close(): void {
    this.#native?.close();
    this.#native = undefined;
  }
}
