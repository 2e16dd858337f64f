import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREAMBLE = `
#define SEC(name) __attribute__((section(name), used))
#define EXISTS(x) __builtin_preserve_field_info(x, 2)
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct task_struct { int pid; unsigned long nvcsw; unsigned int __state; };
struct task_struct___old { long state; };
#pragma clang attribute pop
static long (*probe_read)(void *to, unsigned bytes, const void *from) = (void *)113;
`;

/** A BPF object from the C of its programs, which may read a few fields of `task_struct` by CO-RE. */
export function compileCore(programs: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-core-'));
  try {
    writeFileSync(join(folder, 'p.bpf.c'), PREAMBLE + programs);
    const flags = ['-target', 'bpf', '-O2', '-g', '-Wno-everything'];
    execFileSync('clang', [...flags, '-c', 'p.bpf.c', '-o', 'p.o'], { cwd: folder });
    return readFileSync(join(folder, 'p.o'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads what every kernel has. */
export const READS_PID = 'SEC("raw_tp/sys_enter") int p(struct task_struct *t) { return t->pid; }';
/** Reads what kernels have had no more since 5.14. */
export const READS_OLD_STATE = 'SEC("raw_tp/sys_enter") int p(struct task_struct___old *t) { return t->state; }';
/** Reads 8 bytes where a 32-bit kernel has 4. */
export const READS_LONG = `SEC("raw_tp/sys_enter") int p(struct task_struct *t) {
  unsigned long n; probe_read(&n, sizeof(n), &t->nvcsw); return n; }`;
/** Reads a type that no kernel has, and a module may. */
export const READS_ELSEWHERE = `struct no_such_here { int x; } __attribute__((preserve_access_index));
SEC("raw_tp/sys_enter") int p(struct no_such_here *n) { return n->x; }`;
