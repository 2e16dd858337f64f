import { describe, expect, it } from '@jest/globals';
import { generate } from 'mqtt-packet';
import { PacketLimit } from './packet-limit.js';

function publish(payloadBytes: number): Buffer {
  return generate({
    cmd: 'publish',
    topic: 't',
    payload: Buffer.alloc(payloadBytes),
    qos: 0,
    retain: false,
    dup: false,
  });
}

function feed(limit: PacketLimit, bytes: Buffer, stepBytes: number): boolean {
  for (let at = 0; at < bytes.length; at += stepBytes) {
    if (!limit.accept(bytes.subarray(at, at + stepBytes))) return false;
  }
  return true;
}

describe('PacketLimit', () => {
  const stream = Buffer.concat([generate({ cmd: 'pingreq' }), publish(10), publish(200), publish(20_000), publish(0)]);

  it.each([1, 2, 3, 7, 64, 1_000_000])('follows packets that arrive in pieces of %d bytes', (stepBytes) => {
    expect(feed(new PacketLimit(publish(20_000).length), stream, stepBytes)).toBe(true);
    expect(feed(new PacketLimit(publish(20_000).length - 1), stream, stepBytes)).toBe(false);
  });

  it('refuses a packet when its length is announced, before any of its bytes came', () => {
    const announced = publish(300_000).subarray(0, 4);
    expect(new PacketLimit(100 * 1024).accept(announced)).toBe(false);
  });

  it('refuses a length of more than four bytes', () => {
    expect(new PacketLimit(100 * 1024).accept(Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80, 0x00))).toBe(false);
  });
});
