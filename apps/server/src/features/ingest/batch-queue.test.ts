import { describe, expect, it } from '@jest/globals';
import type { BatchHeader } from '@bpfleet/wire';
import { BatchQueue, type QueuedBatch } from './batch-queue.js';
import { BoundedCache } from './bounded-cache.js';
import { BoundedLog } from './bounded-log.js';

const limits = {
  queueBytesMax: 100_000,
  deviceBytesMax: 50_000,
  takeBytesMax: 20_000,
  takeRawBytesMax: 10_000,
  takeBatchesMax: 4,
};

function batch(number: number, { device = 'd00000001', bytes = 1000, rawBytes = 100 } = {}): QueuedBatch {
  const header = {
    stream: 'events',
    epoch: 1,
    number,
    sections: [{ stride: 1, items: rawBytes }],
  } as unknown as BatchHeader;
  return { device, header, body: new Uint8Array(bytes), receivedAtMs: 0 };
}

const numbersOf = (batches: readonly QueuedBatch[]) => batches.map(({ header }) => header.number);

describe('the queue', () => {
  it('gives batches in the order they came, a transaction’s worth at a time', () => {
    const queue = new BatchQueue(limits);
    for (let number = 0; number < 6; number += 1) queue.offer(batch(number));
    expect(queue.hasFullTake).toBe(true);
    expect(numbersOf(queue.take())).toEqual([0, 1, 2, 3]);
    expect(queue.hasFullTake).toBe(false);
    expect(numbersOf(queue.take())).toEqual([4, 5]);
    expect(queue.take()).toEqual([]);
  });

  it('bounds a transaction by what the batches inflate to, but always takes one', () => {
    const queue = new BatchQueue(limits);
    queue.offer(batch(0, { rawBytes: 50_000 }));
    queue.offer(batch(1, { rawBytes: 6_000 }));
    queue.offer(batch(2, { rawBytes: 6_000 }));
    expect([numbersOf(queue.take()), numbersOf(queue.take())]).toEqual([[0], [1]]);
  });

  it('does not take what is waiting or being written already', () => {
    const queue = new BatchQueue(limits);
    expect([queue.offer(batch(0)), queue.offer(batch(0))]).toEqual(['queued', 'duplicate']);
    const taken = queue.take();
    expect(queue.offer(batch(0))).toBe('duplicate');
    queue.done(taken);
    expect(queue.offer(batch(0))).toBe('queued');
  });

  it('keeps room for other devices, and counts what is being written until it is done', () => {
    const queue = new BatchQueue(limits);
    expect(queue.offer(batch(0, { bytes: 40_000 }))).toBe('queued');
    expect(queue.offer(batch(1, { bytes: 40_000 }))).toBe('full');
    expect(queue.offer(batch(0, { device: 'd00000002', bytes: 40_000 }))).toBe('queued');
    expect(queue.offer(batch(0, { device: 'd00000003', bytes: 40_000 }))).toBe('full');
    const taken = queue.take();
    expect(queue.offer(batch(0, { device: 'd00000003', bytes: 40_000 }))).toBe('full');
    queue.done(taken);
    expect(queue.offer(batch(0, { device: 'd00000003', bytes: 40_000 }))).toBe('queued');
  });

  it('opens the window less as it fills, and never closes it', () => {
    const queue = new BatchQueue(limits);
    const windows = [queue.window];
    for (const device of ['d00000001', 'd00000002', 'd00000003']) {
      queue.offer(batch(0, { device, bytes: 29_000 }));
      windows.push(queue.window);
    }
    expect(windows).toEqual([64, 64, 16, 1]);
  });

  it('gives first again what was put back', () => {
    const queue = new BatchQueue(limits);
    queue.offer(batch(0));
    const taken = queue.take();
    queue.offer(batch(1));
    queue.putBack(taken);
    expect(numbersOf(queue.take())).toEqual([0, 1]);
  });
});

it('the cache forgets what is old or not used', () => {
  let now = 0;
  const cache = new BoundedCache<string, number>(2, 100, () => now);
  cache.set('a', 1);
  cache.set('b', 2);
  cache.get('a');
  cache.set('c', 3);
  expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([1, undefined, 3]);
  now = 100;
  expect(cache.get('a')).toBeUndefined();
});

it('the log says one line of a kind and counts the others', () => {
  let now = 0;
  const lines: string[] = [];
  const log = new BoundedLog(
    (line) => lines.push(line),
    () => now,
    1000,
  );
  for (let index = 0; index < 5; index += 1) log.say('header', `bad ${index}`);
  log.say('topic', 'other');
  now = 1000;
  log.say('header', 'bad again');
  expect(lines).toEqual(['bad 0', 'other', 'bad again (and 4 more like it before)']);
});
