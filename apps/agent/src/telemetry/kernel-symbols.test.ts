import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { KernelSymbols } from './kernel-symbols.js';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-kallsyms-'));
  path = join(folder, 'kallsyms');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function addresses(...values: bigint[]): Buffer {
  const out = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => out.writeBigUInt64LE(value, index * 8));
  return out;
}

const base = 0xffff_ffff_8100_0000n;

describe('kernel symbols', () => {
  it('names each kernel address after the nearest function below it, wherever that stands in the file', async () => {
    writeFileSync(
      path,
      [
        'ffffffff81000300 t third',
        'ffffffff81000100 T first',
        'ffffffff81000200 D data_is_no_function',
        'ffffffff81000180 T second\t[module]',
        '',
      ].join('\n'),
    );
    const names = await new KernelSymbols(64, path).resolveNew(
      addresses(base + 0x181n, base + 0x17fn, base + 0x2ffn, base + 0x300n, base + 0x1n),
    );
    expect(names.map(({ id, name }) => [BigInt(id) - base, name])).toEqual([
      [0x17fn, 'first'],
      [0x181n, 'second'],
      [0x2ffn, 'second'],
      [0x300n, 'third'],
    ]);
  });

  it('asks once for each address, and never for user space', async () => {
    writeFileSync(path, 'ffffffff81000000 T start\n');
    const symbols = new KernelSymbols(64, path);
    expect(await symbols.resolveNew(addresses(0x7fff_0000_0000n))).toEqual([]);
    expect(await symbols.resolveNew(addresses(base, base))).toHaveLength(1);
    expect(await symbols.resolveNew(addresses(base))).toEqual([]);
    symbols.reset();
    expect(await symbols.resolveNew(addresses(base))).toHaveLength(1);
  });

  it('has no names where the kernel hides its addresses', async () => {
    writeFileSync(path, '0000000000000000 T start\n');
    expect(await new KernelSymbols(64, path).resolveNew(addresses(base))).toEqual([]);
    expect(await new KernelSymbols(64, join(folder, 'none')).resolveNew(addresses(base))).toEqual([]);
  });
});
