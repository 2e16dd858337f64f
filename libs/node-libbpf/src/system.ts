import { existsSync, readFileSync } from 'node:fs';
import { LibbpfError, succeed } from './errors.js';
import { errnoName } from './errno.js';
import type { LinkInfo, MapInfo, NativeHandle, NativeKind, ProgramInfo } from './native.js';
import { native } from './native.js';

export interface StatsHandle {
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

/** Turns on run counts and run times of all programs (BPF_ENABLE_STATS, ≥ 5.8; needs CAP_SYS_ADMIN). */
export function enableStats(): StatsHandle {
  let handle: NativeHandle | undefined = succeed('BPF_STATS', 'enable BPF statistics', () => native.enableStats());
  return {
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

/** Every program of the system (needs CAP_SYS_ADMIN). */
export function listPrograms(): ProgramInfo[] {
  return listAll('program', (id) => read(native.openById('program', id)));
}

/** Every link of the system (≥ 5.8; needs CAP_SYS_ADMIN). */
export function listLinks(): LinkInfo[] {
  return listAll('link', (id) => read(native.openById('link', id)));
}

/** Every map of the system (needs CAP_SYS_ADMIN). */
export function listMaps(): MapInfo[] {
  return listAll('map', (id) => read(native.openById('map', id)));
}

function read<Info>(handle: { info(): Info | number; close(): void } | number): Info | number {
  if (typeof handle === 'number') return handle;
  const info = handle.info();
  handle.close();
  return info;
}

function listAll<Info>(kind: NativeKind, readInfo: (id: number) => Info | number): Info[] {
  const found: Info[] = [];
  for (let id = native.nextId(kind, 0); ; id = native.nextId(kind, id)) {
    if (id < 0 && errnoName(-id) === 'ENOENT') return found;
    if (id < 0) throw new LibbpfError('BPF_ENUMERATE', `list ${kind}s`, -id);
    const info = readInfo(id);
    // One that went away between the two calls is no error, nor (EAGAIN) a link that is being made just now.
    if (typeof info !== 'number') found.push(info);
    else if (!['ENOENT', 'EAGAIN'].includes(errnoName(-info)))
      throw new LibbpfError('BPF_ENUMERATE', `read ${kind} ${id}`, -info);
  }
}

function readLine(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
