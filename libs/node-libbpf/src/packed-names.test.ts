import { expect, it } from '@jest/globals';
import { PackedNames } from './packed-names.js';

function packed(names: readonly Buffer[]): PackedNames {
  const table = new PackedNames();
  // As they come from a file: some at a time, and blocks of the table end anywhere in them.
  for (let begin = 0, some = 1; begin < names.length; begin += some, some = (some * 7) % 300) {
    const lines = names.slice(begin, begin + some).map((name) => Buffer.concat([name, Buffer.from('\n')]));
    let end = 0;
    const ends = Uint32Array.from(lines, ({ length }) => (end += length));
    table.add(Buffer.concat(lines), ends);
  }
  table.finish();
  return table;
}

it.each([0, 1, 63, 64, 65, 128, 1000])('gives back each of %d names, in any order', (count) => {
  const names = Array.from({ length: count }, (_, index) => Buffer.from(`__pfx_function_${index * 7919}`));
  const table = packed(names);
  expect(table.count).toBe(count);
  for (let turn = 0; turn < 2 * count; turn++) {
    const index = (turn * 37) % count;
    expect(table.bytesOf(index).toString()).toBe(names[index]?.toString());
  }
});

it('takes names of any length and any bytes but newlines', () => {
  const odd = [Buffer.from([0, 255, 9, 0]), Buffer.alloc(300_000, 'n'), Buffer.from('größe'), Buffer.from('x')];
  const table = packed(odd);
  for (const [index, name] of odd.entries()) expect(table.bytesOf(index).equals(name)).toBe(true);
});

it('is smaller than what it holds', () => {
  const names = Array.from({ length: 10_000 }, (_, index) => Buffer.from(`ext4_do_something_${index}`));
  expect(packed(names).bytes).toBeLessThan(names.reduce((sum, { length }) => sum + length, 0) / 2);
});
