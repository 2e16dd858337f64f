import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readObject } from '@bpfleet/btf';
import type { BpfObjectFile } from '@bpfleet/btf';
import { compileBpf } from '../../../btf/test/compile-bpf.js';
import { mapMemoryBytes } from './memory.js';

const BPFFS = '/sys/fs/bpf';
const PAGE_BYTES = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));

/** Since 6.4 the kernel counts what a map really took (`map_mem_usage`), where it estimated before. */
function canMeasure(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major < 6 || (major === 6 && minor < 4) || process.getuid?.() !== 0 || !existsSync(BPFFS)) return false;
  try {
    execFileSync('bpftool', ['map', 'list'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

function possibleCpus(): number {
  const last = readFileSync('/sys/devices/system/cpu/possible', 'utf8').trim().split(/[-,]/).at(-1);
  return Number(last) + 1;
}

const SHAPES = [
  ['hash', 1, 16, 64, 1000],
  ['array', 2, 4, 100, 1000],
  ['percpu_hash', 5, 16, 64, 1000],
  ['percpu_hash', 5, 28, 216, 256],
  ['percpu_array', 6, 4, 100, 1000],
  ['stack_trace', 7, 4, 1016, 2048],
  ['lru_hash', 9, 4, 8, 10240],
  ['lru_percpu_hash', 10, 16, 64, 1000],
  ['queue', 22, 0, 24, 100],
  ['ringbuf', 27, 0, 0, 262144],
] as const;

function objectOf(type: number, key: number, value: number, entries: number): BpfObjectFile {
  const sizes = `__uint(key_size, ${key}); __uint(value_size, ${value}); __uint(max_entries, ${entries});`;
  return readObject(compileBpf(`struct { __uint(type, ${type}); ${sizes} } map SEC(".maps");`));
}

describe('mapMemoryBytes', () => {
  const measured = canMeasure() ? it.each(SHAPES) : it.skip.each(SHAPES);
  measured(
    'is at least, and little more than, what this kernel counts for a %s (needs root, bpftool, bpffs, kernel 6.4)',
    (typeName, type, key, value, entries) => {
      const pin = join(BPFFS, `bpfleet_memory_test_${process.pid}`);
      const sizes = ['key', `${key}`, 'value', `${value}`, 'entries', `${entries}`, 'name', 'measured'];
      try {
        execFileSync('bpftool', ['map', 'create', pin, 'type', typeName, ...sizes], { stdio: 'pipe' });
        const shown = execFileSync('bpftool', ['-j', 'map', 'show', 'pinned', pin], { encoding: 'utf8' });
        const counted = (JSON.parse(shown) as { bytes_memlock: number }).bytes_memlock;
        const machine = { cpus: possibleCpus(), pageBytes: PAGE_BYTES };
        const estimated = mapMemoryBytes(objectOf(type, key, value, entries), machine)[0]?.bytes ?? 0;
        expect(estimated).toBeGreaterThanOrEqual(counted);
        expect(estimated).toBeLessThanOrEqual(counted * 1.1 + 2 * PAGE_BYTES);
      } finally {
        rmSync(pin, { force: true });
      }
    },
  );
});
