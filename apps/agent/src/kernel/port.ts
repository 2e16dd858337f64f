import type { AttachOptions } from '@bpfleet/probe';
import type { RunReport } from '@bpfleet/wire';
import type { KernelIds } from '../core/run-record.js';

/** What the rest of the agent sees of a kernel. Implemented on libbpf, by nothing at all, and by a fake in tests. */
export interface Kernel {
  /** Possible CPUs: slots of a per-CPU value. */
  readonly cpus: number;
  readonly features: readonly string[];
  /** Asked about and not there; what is in neither list is not known. */
  readonly lacks: readonly string[];
  /**
   * Opens, fills in the globals, loads, pins. Nothing is attached yet.
   * @throws AgentError VERIFIER_REFUSED (with the log), OBJECT_INVALID, LOAD_FAILED, HOOK_MISSING, KERNEL_DISABLED
   */
  load(request: LoadRequest): KernelRun;
  /** The run as an earlier agent left it, attached and untouched; undefined when not all of it is there as recorded. */
  adopt(run: string, ids: KernelIds): KernelRun | undefined;
  /** Runs of this device that have pins, whoever made them. */
  pinnedRuns(): string[];
  /** Takes whatever is pinned for a run out of the kernel. Idempotent. */
  removePins(run: string): void;
  /** Run counts and times cost a little on each run of every program: they are counted only while something needs them. */
  measure(on: boolean): boolean;
  /** Functions of the kernel by their addresses, as they are now; takes seconds on a small device, in small steps. */
  readSymbols(): Promise<SymbolTable>;
  /** Loading a program needs megabytes for a moment, which the C library keeps unless it is told. */
  returnFreedMemory(): void;
  close(): void;
}

export interface SymbolTable {
  /** Of the function that an address is in; undefined where there is none, or the kernel shows no addresses. */
  nameOf(address: bigint): string | undefined;
}

export interface LoadRequest {
  readonly run: string;
  readonly name: string;
  readonly object: Buffer;
  /** Initial bytes of global data, by section such as `.rodata`. */
  readonly globals: ReadonlyMap<string, Uint8Array>;
  /** Types by which the object is relocated, in place of what the kernel shows. */
  readonly btfPath?: string;
}

export interface KernelRun {
  readonly ids: KernelIds;
  readonly hold: 'pinned' | 'process' | 'mixed';
  /**
   * Each program exactly once; all or none.
   * @throws AgentError ATTACH_FAILED and HOOK_MISSING with the errno, TARGET_UNTRACEABLE
   */
  attach(optionsOf: (program: string) => AttachOptions): void;
  ring(map: string): Ring;
  map(name: string): SnapshotMap;
  programs(): NonNullable<RunReport['programs']>;
  /** Records that found their ring full; null when the object does not count them. */
  kernelDrops(): number | null;
  /** Nothing runs any more; maps and rings are still there to be read a last time. Idempotent. */
  detach(): void;
  /** `unpin` takes everything out of the kernel; else what is pinned stays, for a successor. Idempotent. */
  close(options: { unpin: boolean }): void;
}

export interface Ring {
  readonly mapId: number;
  /** Of its data; what is not committed is never more. */
  readonly dataBytes: number;
  /** In 64 bits from where the kernel stood when it was opened; a 32-bit kernel's own wraps at 4 GiB. */
  readonly consumerPosition: bigint;
  drain(target: Buffer): { bytes: number; records: number; position: bigint; more: boolean };
  commit(position: bigint): void;
}

export interface SnapshotMap {
  readonly type: string;
  readonly perCpu: boolean;
  readonly keyBytes: number;
  /** Of one CPU. */
  readonly valueBytes: number;
  /** Of all CPUs, each at a stride of 8. */
  readonly valueBufferBytes: number;
  readAll(): { count: number; keys: Buffer; values: Buffer };
}
