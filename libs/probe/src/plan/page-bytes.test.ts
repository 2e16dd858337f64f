import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import { pageBytesOf } from './page-bytes.js';

type Pairs = readonly (readonly [type: number, value: number])[];

/** AT_PHDR before it, as kernels put it; the vector ends with AT_NULL. */
const shown = (pageBytes: number): Pairs => [
  [33, 4_096],
  [16, 6],
  [6, pageBytes],
  [3, 65_600],
  [0, 0],
];

function auxv(pairs: Pairs, bits: 32 | 64, order: 'LE' | 'BE'): Buffer {
  const words = pairs.flat().map((word) => {
    const bytes = Buffer.alloc(bits / 8);
    if (order === 'LE') bytes.writeUInt32LE(word, 0);
    else bytes.writeUInt32BE(word, bytes.length - 4);
    return bytes;
  });
  // Where a slice of a larger buffer begins is nobody's business.
  return Buffer.concat([Buffer.alloc(4), ...words]).subarray(4);
}

describe('pageBytesOf', () => {
  it.each([
    [32, 'LE'],
    [32, 'BE'],
    [64, 'LE'],
    [64, 'BE'],
  ] as const)('reads the vector of a %d-bit program, %s', (userBits, order) => {
    for (const bytes of [4_096, 16_384, 65_536]) {
      expect(pageBytesOf(auxv(shown(bytes), userBits, order), { userBits, endianness: order })).toBe(bytes);
    }
  });

  it('says nothing about what is no such vector, or not one of that width', () => {
    const of = { userBits: 64, endianness: 'LE' } as const;
    expect(pageBytesOf(Buffer.alloc(0), of)).toBeUndefined();
    expect(pageBytesOf(auxv(shown(16_384), 64, 'LE').subarray(0, 36), of)).toBeUndefined();
    expect(pageBytesOf(auxv(shown(16_384), 32, 'LE'), of)).toBeUndefined();
    expect(pageBytesOf(auxv([[0, 0], ...shown(16_384)], 64, 'LE'), of)).toBeUndefined();
    for (const size of [0, 1, 2_048, 5_000, 2 ** 31]) {
      expect(pageBytesOf(auxv(shown(size), 64, 'LE'), of)).toBeUndefined();
    }
  });

  it('is what this machine says of itself', () => {
    const own = pageBytesOf(readFileSync('/proc/self/auxv'), {
      userBits: process.arch === 'arm' ? 32 : 64,
      endianness: endianness(),
    });
    expect(own).toBe(Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })));
  });
});
