import { describe, expect, it } from '@jest/globals';
import { PacketLimit } from './packet-limit.js';

describe('packet limit', () => {
  const small = Buffer.from([0x30, 3, 1, 2, 3, 0xd0, 0]);
  const large = Buffer.from([0x30, 0x80, 0x80, 0x80, 0x7f]);

  it.each([1, 2, 3, 100])('follows packets through chunks of %i bytes and stops at one that is too large', (step) => {
    const limit = new PacketLimit(1_000);
    const stream = Buffer.concat([small, small, large]);
    const answers: boolean[] = [];
    for (let at = 0; at < stream.length; at += step) answers.push(limit.accept(stream.subarray(at, at + step)));
    expect(answers.at(-1)).toBe(false);
    expect(new PacketLimit(1_000).accept(Buffer.concat([small, small]))).toBe(true);
  });

  it('refuses a length of five bytes', () => {
    expect(new PacketLimit(2 ** 40).accept(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80]))).toBe(false);
  });
});
