import { describe, expect, it } from '@jest/globals';
import { MapDiff } from './map-diff.js';
import { StackDiff } from './stack-diff.js';

function entries(all: Record<number, number>) {
  const keys = Object.keys(all).map((key) => Buffer.from([Number(key)]));
  const values = Object.values(all).map((value) => Buffer.from([value]));
  return { count: keys.length, keys: Buffer.concat(keys), values: Buffer.concat(values) };
}

describe('map diff', () => {
  const hex = (change: { keys: Buffer; values: Buffer; gone: Buffer }): string[] => [
    change.keys.toString('hex'),
    change.values.toString('hex'),
    change.gone.toString('hex'),
  ];

  it('sends what changed and what went, and everything when asked', () => {
    const diff = new MapDiff(1, 1, false);
    expect(hex(diff.take(entries({ 1: 5, 2: 6 }), true))).toEqual(['0102', '0506', '']);
    expect(hex(diff.take(entries({ 1: 5, 2: 6 }), false))).toEqual(['', '', '']);
    expect(hex(diff.take(entries({ 1: 7, 3: 1 }), false))).toEqual(['0103', '0701', '02']);
    expect(hex(diff.take(entries({ 1: 7, 3: 1 }), true))).toEqual(['0103', '0701', '']);
  });

  it('takes slots of an array that were never written to as absent, and a reset one as zero', () => {
    const diff = new MapDiff(1, 1, true);
    expect(hex(diff.take(entries({ 0: 0, 1: 4 }), true))).toEqual(['01', '04', '']);
    expect(hex(diff.take(entries({ 0: 0, 1: 0 }), false))).toEqual(['01', '00', '']);
  });

  it('keeps its own copy of what it has seen', () => {
    const diff = new MapDiff(1, 1, false);
    const reused = entries({ 1: 5 });
    diff.take(reused, true);
    reused.values[0] = 9;
    expect(hex(diff.take(reused, false))).toEqual(['01', '09', '']);
  });
});

describe('stack diff', () => {
  function stacks(all: [number, bigint[]][]) {
    const keys = Buffer.alloc(all.length * 4);
    const values = Buffer.alloc(all.length * 32);
    all.forEach(([id, addresses], index) => {
      keys.writeUInt32LE(id, index * 4);
      addresses.forEach((address, depth) => values.writeBigUInt64LE(address, index * 32 + depth * 8));
    });
    return { count: all.length, keys, values };
  }

  it('sends each stack once, again when its id means another stack, without the zeros behind it', () => {
    const diff = new StackDiff(32);
    const first = diff.take(stacks([[7, [1n, 2n]]]), false);
    expect(first.entries.toString('hex')).toBe('0700000002000000');
    expect(first.addresses).toHaveLength(16);
    expect(diff.take(stacks([[7, [1n, 2n]]]), false).entries).toHaveLength(0);
    expect(diff.take(stacks([[7, [1n, 3n]]]), false).entries).toHaveLength(8);
    expect(diff.take(stacks([[7, [1n, 3n]]]), true).entries).toHaveLength(8);
  });
});
