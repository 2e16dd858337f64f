import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'node-libbpf-ring-core-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

it('reads rings whose 32-bit positions wrap, and counts on in 64 bits', () => {
  const source = fileURLToPath(new URL('../fixtures/ring_core_check.cc', import.meta.url));
  const program = join(folder, 'check');
  const checks = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  execFileSync('c++', ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Werror', ...checks, source, '-o', program]);
  const lines = execFileSync(program, { encoding: 'utf8' }).trim().split('\n');
  expect(lines).toEqual([
    expect.stringMatching(/^32 bit from 0 to 3[0-9a-f]{8}: \d{6,} records/),
    expect.stringMatching(/^32 bit from fffff000 to 100[0-9a-f]{6}: /),
    expect.stringMatching(/^32 bit from fffffff8 to 100[0-9a-f]{6}: /),
    expect.stringMatching(/^64 bit from fffff000 to 100[0-9a-f]{6}: /),
  ]);
});
