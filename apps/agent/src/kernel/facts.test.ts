import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { AgentError } from '../agent-error.js';
import { collectFacts, pageBytes } from './facts.js';

const folder = mkdtempSync(join(tmpdir(), 'bpfleet-facts-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** As kernels of 16 KiB pages give it to a program of this process's width. */
function auxv(name: string, pairs: readonly (readonly [number, number])[]): string {
  const is32 = process.arch === 'arm' || process.arch === 'ia32';
  const words = pairs.flat();
  const bytes = is32 ? Uint32Array.from(words) : BigUint64Array.from(words.map(BigInt));
  writeFileSync(join(folder, name), Buffer.from(bytes.buffer));
  return join(folder, name);
}

describe('pageBytes', () => {
  it('is what the kernel told this process when it started, whatever smaps shows', () => {
    expect(
      pageBytes(
        auxv('16k', [
          [16, 6],
          [6, 16_384],
          [0, 0],
        ]),
      ),
    ).toBe(16_384);
  });

  it('is no guess', () => {
    for (const path of [auxv('none', [[0, 0]]), join(folder, 'absent')]) {
      expect(() => pageBytes(path)).toThrow(expect.objectContaining({ code: 'FACTS_UNREADABLE' }));
      expect(() => pageBytes(path)).toThrow(AgentError);
    }
  });
});

describe('collectFacts', () => {
  it('denies BTF where there is no file of it, and does not where there is', async () => {
    const kernel = { features: ['btf', 'xdp'], lacks: ['tcx'], cpus: 12 };
    const without = await collectFacts('0.0.0', kernel, '/nowhere/vmlinux');
    expect([without.features, without.lacks, without.possibleCpus]).toEqual([['xdp'], ['btf', 'tcx'], 12]);
    const self = await collectFacts('0.0.0', { ...kernel, lacks: ['btf'] }, import.meta.filename);
    expect([self.features, self.lacks]).toEqual([['btf', 'xdp'], []]);
  });
});
