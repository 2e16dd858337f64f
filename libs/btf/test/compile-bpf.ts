import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const PREAMBLE = readFileSync(join(here, 'preamble.h'), 'utf8');

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
