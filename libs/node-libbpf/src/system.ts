import { existsSync, readFileSync } from 'node:fs';
import { succeed } from './errors.js';
import type { NativeHandle } from './native.js';
import { native } from './native.js';

export interface StatsHandle {
  readonly closed: boolean;
  /** Idempotent. The kernel counts as long as any handle on the system is open. */
  close(): void;
}

export interface Features {
  /** By libbpf's name of the type. `tracing` and `lsm` are true only where fentry-like programs load. */
  programTypes: Record<string, boolean>;
  mapTypes: Record<string, boolean>;
  /** The kernel has its own BTF, which CO-RE, tp_btf, fentry and iterators need. */
  btf: boolean;
  /** net.core.bpf_jit_enable: '0' off, '1' on, '2' on with debugging; undefined where it cannot be read. */
  jit: string | undefined;
}

/**
 * Turns on run counts and run times of all programs (BPF_ENABLE_STATS, ≥ 5.8; needs CAP_SYS_ADMIN) until the handle is closed,
 * dropped, or its process ends. Each run then costs two clock reads. The sysctl kernel.bpf_stats_enabled is another switch
 * for the same counters, and is left alone. Throws BPF_STATS.
 */
export function enableStats(): StatsHandle {
  let handle: NativeHandle | undefined = succeed('BPF_STATS', 'enable BPF statistics', () => native.enableStats(), {
    does: 'enable_stats',
  });
  return {
    get closed() {
      return handle === undefined;
    },
    close: () => {
      handle?.close();
      handle = undefined;
    },
  };
}

/** CPUs that can ever exist here: how many values a per-CPU entry has. */
export function possibleCpus(): number {
  return native.possibleCpus();
}

/** `v1.1`: the libbpf inside the addon. */
export function libbpfVersion(): string {
  return native.libbpfVersion();
}

/** Tries each type by creating one; takes some milliseconds. Without privilege everything reads as missing. */
export function probeFeatures(): Features {
  return {
    programTypes: native.probeTypes('program'),
    mapTypes: native.probeTypes('map'),
    btf: existsSync('/sys/kernel/btf/vmlinux'),
    jit: readLine('/proc/sys/net/core/bpf_jit_enable'),
  };
}

/**
 * Gives the pages of freed native memory back to the system (glibc's malloc_trim; elsewhere nothing happens). libbpf parses the
 * kernel's BTF at each load that relocates, 11 MB that glibc would otherwise keep. Takes about a millisecond for 20 MB of heap.
 */
export function returnFreedMemory(): void {
  native.returnFreedMemory();
}

/** How many handles of this thread were open when the garbage collector took them: each is a missing close(). */
export function droppedHandles(): number {
  return native.droppedHandles();
}

function readLine(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
