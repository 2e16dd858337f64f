import { randomBytes } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { crc32, tableCrc32 } from './crc32.js';

it('is the checksum that everyone calls CRC-32', () => {
  for (const check of [crc32, tableCrc32]) {
    expect(check(Buffer.from('123456789'))).toBe(0xcbf4_3926);
    expect(check(Buffer.alloc(0))).toBe(0);
  }
});

it('is the same with and without the help of Node, so that a spool outlives an upgrade of it', () => {
  for (const length of [1, 7, 64, 4096, 100_003]) {
    const bytes = randomBytes(length);
    expect(tableCrc32(bytes)).toBe(crc32(bytes));
  }
});
