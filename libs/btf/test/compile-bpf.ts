import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREAMBLE = `
typedef unsigned char __u8; typedef signed char __s8; typedef unsigned short __u16; typedef short __s16;
typedef unsigned int __u32; typedef int __s32; typedef unsigned long long __u64; typedef long long __s64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define KEEP(type) const type *const keep_##type __attribute__((section(".keep"), used)) = 0
`;

/** The lines of C in front of the source: line 1 of `source` is this one. */
export const PREAMBLE_LINES = PREAMBLE.split('\n').length - 1;

/** Compiles C for BPF with the clang of this machine. For tests: the source is trusted. */
export function compileBpf(source: string, target: 'bpfel' | 'bpfeb' = 'bpfel'): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-btf-'));
  try {
    writeFileSync(join(folder, 'test.bpf.c'), PREAMBLE + source);
    const options = ['-target', target, '-O2', '-g', '-Wno-everything', '-c', 'test.bpf.c', '-o', 'test.bpf.o'];
    execFileSync('clang', options, { cwd: folder, stdio: 'pipe' });
    return new Uint8Array(readFileSync(join(folder, 'test.bpf.o')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Small deterministic random numbers (mulberry32): a failing seed can be run again. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}
