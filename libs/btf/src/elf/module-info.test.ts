import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { BtfError } from '../error.js';
import { moduleInfo } from './module-info.js';

const folder = mkdtempSync(join(tmpdir(), 'bpfleet-module-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function objectWith(source: string): Uint8Array {
  writeFileSync(join(folder, 'm.c'), source);
  execFileSync('gcc', ['-c', 'm.c', '-o', 'm.ko'], { cwd: folder });
  return readFileSync(join(folder, 'm.ko'));
}

/** As MODULE_INFO makes it: strings of one section, each ended by a NUL. */
const withInfo = (...entries: readonly string[]): Uint8Array =>
  objectWith(`const char info[] __attribute__((section(".modinfo"))) = "${entries.join('\\0')}";`);

describe('moduleInfo', () => {
  it('says what a module is called and what it needs, as the kernel spells it', () => {
    const info = moduleInfo(withInfo('license=GPL', 'depends=virtio-ring,virtio', 'name=virtio_blk'));
    expect(info).toEqual({ name: 'virtio_blk', depends: ['virtio_ring', 'virtio'] });
  });

  it('finds no name in an old module, and no need where there is none', () => {
    expect(moduleInfo(withInfo('alias=depends=nothing', 'depends='))).toEqual({ name: undefined, depends: [] });
  });

  it('knows what is no module', () => {
    expect(moduleInfo(objectWith('int x;'))).toBeUndefined();
    expect(() => moduleInfo(Buffer.from('no ELF'))).toThrow(BtfError);
  });
});
