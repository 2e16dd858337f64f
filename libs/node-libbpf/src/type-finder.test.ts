import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { typeFinder } from './type-finder.js';

describe('typeFinder', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'type-finder-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('finds a whole name wherever it stands, across the pieces that are read', () => {
    const path = join(folder, 'btf');
    // Around each end of the first pieces, whatever their size.
    for (const at of [0, 1, 65_530, 65_536, 131_060, 131_071, 131_072, 131_085, 262_140, 300_000]) {
      const bytes = Buffer.alloc(400_000, 'x');
      bytes.write('\0bpf_xdp_link\0', at, 'latin1');
      writeFileSync(path, bytes);
      expect([at, typeFinder(path)('bpf_xdp_link')]).toEqual([at, true]);
      expect([at, typeFinder(path)('bpf_xdp')]).toEqual([at, false]);
    }
  });

  it('knows nothing where there is no file', () => {
    expect(typeFinder(join(folder, 'none'))('task_struct')).toBeUndefined();
  });
});
