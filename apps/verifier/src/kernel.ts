import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gnuBuildId } from '@bpfleet/btf';
import { kernelMachine } from '@bpfleet/node-libbpf';
import type { KernelReport } from './report.js';

// Bits of CapEff (linux/capability.h).
const capSysAdmin = 21n;
const capBpf = 39n;

/** What decides a verdict, about the kernel that this process runs on. */
export function describeKernel(): KernelReport {
  return {
    release: release(),
    arch: kernelMachine(),
    buildId: readBuildId('/sys/kernel/notes'),
    btf: existsSync('/sys/kernel/btf/vmlinux'),
    jit: readText('/proc/sys/net/core/bpf_jit_enable'),
    lsm: readText('/sys/kernel/security/lsm'),
  };
}

/** Whether this process may load programs at all: CAP_BPF, or CAP_SYS_ADMIN as before 5.8. */
export function mayLoadPrograms(): boolean {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText('/proc/self/status') ?? '')?.[1];
  // Where /proc is missing, trying tells more than guessing.
  if (hex === undefined) return true;
  const effective = BigInt(`0x${hex}`);
  return ((effective >> capBpf) & 1n) === 1n || ((effective >> capSysAdmin) & 1n) === 1n;
}

/** The GNU build id among the ELF notes of a file; null where there is none. */
export function readBuildId(path: string): string | null {
  try {
    return gnuBuildId(readFileSync(path)) ?? null;
  } catch {
    return null;
  }
}

/** A small file without the white space around it; null where it cannot be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
