import { describe, expect, it } from '@jest/globals';
import { BoundedStream, type Sink } from './bounded-stream.js';

class SlowSink implements Sink {
  writableLength = 0;
  readonly written: string[] = [];
  private drained: (() => void) | undefined;
  write(text: string): boolean {
    this.written.push(text);
    this.writableLength += text.length;
    return true;
  }
  once(_: 'drain', listener: () => void): void {
    this.drained = listener;
  }
  drain(): void {
    this.writableLength = 0;
    this.drained?.();
  }
}

describe('BoundedStream', () => {
  it('holds no more than its bound for a client that does not read, and then says how many it left out', () => {
    const sink = new SlowSink();
    const stream = new BoundedStream<object>(sink, 100, (count) => ({ type: 'dropped', count }));
    for (let i = 0; i < 1000; i++) stream.send({ type: 'device', i });
    expect(sink.writableLength).toBeLessThan(200);
    const kept = sink.written.length;
    sink.drain();
    expect(sink.written.at(-1)).toBe(`data: {"type":"dropped","count":${1000 - kept}}\n\n`);
    stream.send({ type: 'device', i: 1000 });
    expect(sink.written.at(-1)).toContain('1000');
  });
});
