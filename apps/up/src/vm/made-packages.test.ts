import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { hasPackage } from './made-packages.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-made-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function index(text: string): string {
  const file = join(folder, 'index.json');
  writeFileSync(file, text);
  return file;
}

it('takes a package of the same processor and version, and no other for it', () => {
  const file = index(
    JSON.stringify({
      packages: [
        { arch: 'arm64', version: '0.1.0' },
        { arch: 'armv7', version: '0.2.0' },
      ],
    }),
  );
  expect(hasPackage(file, { arch: 'arm64', version: '0.1.0' })).toBe(true);
  expect(hasPackage(file, { arch: 'arm64', version: '0.2.0' })).toBe(false);
  expect(hasPackage(file, { arch: 'armv7', version: '0.1.0' })).toBe(false);
});

it.each(['', 'null', '{', '{"packages":{}}', '{"packages":[null]}'])('finds none in an index of %j', (text) => {
  expect(hasPackage(index(text), { arch: 'arm64', version: '0.1.0' })).toBe(false);
});

it('finds none where nothing was made', () => {
  expect(hasPackage(join(folder, 'nowhere.json'), { arch: 'arm64', version: '0.1.0' })).toBe(false);
});
