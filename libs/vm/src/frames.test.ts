import { describe, expect, it } from '@jest/globals';
import { FRAME, FrameReader, PAYLOAD_BYTES_MAX, frame, jsonFrame, readJson } from './frames.js';
import type { Frame } from './frames.js';

const text = (one: Frame): string => Buffer.from(one.payload).toString();
const sent = (kind: 2 | 17, exchange: number, payload: string): Uint8Array =>
  frame(kind, exchange, Buffer.from(payload));

describe('FrameReader', () => {
  it('puts frames together out of single bytes', () => {
    const reader = new FrameReader();
    const stream = Buffer.concat([sent(FRAME.data, 7, 'one'), jsonFrame(FRAME.outcome, 8, { code: 0 })]);
    const frames = [...stream].flatMap((byte) => reader.push(Uint8Array.of(byte)));
    expect(frames.map((one) => [one.kind, one.exchange])).toEqual([
      [FRAME.data, 7],
      [FRAME.outcome, 8],
    ]);
    expect(text(frames[0] as Frame)).toBe('one');
    expect(readJson(frames[1] as Frame)).toEqual({ code: 0 });
  });

  it('finds the next frame behind bytes that are none', () => {
    const reader = new FrameReader();
    const noise = Buffer.from('BV\x02\x01 half a login prompt, BV and all ');
    const frames = reader.push(Buffer.concat([noise, sent(FRAME.data, 1, 'a'), noise, sent(FRAME.data, 1, 'b')]));
    expect(frames.map(text)).toEqual(['a', 'b']);
  });

  it('forgets half a frame when the guest was reset', () => {
    const reader = new FrameReader();
    expect(reader.push(sent(FRAME.stdout, 1, 'never to be finished').subarray(0, 20))).toEqual([]);
    reader.reset();
    expect(reader.push(sent(FRAME.stdout, 2, 'new')).map(text)).toEqual(['new']);
  });

  it('takes the largest payload and never makes a larger one', () => {
    const largest = new Uint8Array(PAYLOAD_BYTES_MAX).fill(0x42);
    const [one] = new FrameReader().push(frame(FRAME.data, 1, largest));
    expect(one?.payload.byteLength).toBe(PAYLOAD_BYTES_MAX);
    expect(() => frame(FRAME.data, 1, new Uint8Array(PAYLOAD_BYTES_MAX + 1))).toThrow(RangeError);
  });
});
