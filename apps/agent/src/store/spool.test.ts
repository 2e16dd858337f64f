import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DiskRoom } from './disk-room.js';
import type { BatchMeta } from './spool-frame.js';
import { Spool, type SealedBatch } from './spool.js';
import { spoolLimits, type SpoolLimits } from './spool-limits.js';

let folder: string;
let dropped: BatchMeta[];
let nowMs: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-spool-'));
  dropped = [];
  nowMs = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(epoch: number, limits: Partial<SpoolLimits> = {}, room?: () => DiskRoom): Spool {
  const spool = new Spool(
    folder,
    { ...spoolLimits, ...limits },
    () => nowMs,
    (meta) => dropped.push(meta),
    room,
  );
  spool.begin(epoch);
  return spool;
}

function batch(spool: Spool, text: string, change: Partial<SealedBatch> = {}): SealedBatch {
  const payload = Buffer.from(text);
  return { stream: 'events', number: spool.nextNumber('events'), run: 'raaaaaaaa', count: 1, payload, ...change };
}

function put(spool: Spool, ...texts: string[]): void {
  for (const text of texts) spool.append([batch(spool, text)]);
}

function texts(spool: Spool): string[] {
  return spool.all().map((held) => `${held.meta.epoch}.${held.meta.number} ${spool.payload(held).toString()}`);
}

const segments = (): string[] => readdirSync(folder).sort();
const newestSegment = (): string => join(folder, segments().at(-1) as string);

describe('spool', () => {
  it('keeps batches across restarts, under the epoch and number they were sealed with', async () => {
    const first = open(1);
    put(first, 'a', 'b');
    await first.sync();
    first.close();
    const second = open(2);
    put(second, 'c');
    expect(texts(second)).toEqual(['1.0 a', '1.1 b', '2.0 c']);
    expect(second.oldest('events')).toEqual({ epoch: 1, floor: 0 });
    expect(second.newestEpoch).toBe(2);
  });

  it('forgets what is acknowledged, now and after a restart, and its file with the last of it', () => {
    const first = open(1);
    put(first, 'a', 'b', 'c');
    expect(first.ack('events', 1, [[0, 1]]).map(({ meta }) => meta.number)).toEqual([0, 1]);
    expect(first.floor('events')).toBe(2);
    first.close();
    const second = open(2);
    expect(texts(second)).toEqual(['1.2 c']);
    expect(second.ack('events', 1, [[0, 1e15]])).toHaveLength(1);
    expect(segments()).toHaveLength(1);
    expect(second.oldest('events')).toBeUndefined();
    expect(second.batches).toBe(0);
  });

  it('ignores acknowledgements of what it does not hold', () => {
    const spool = open(3);
    put(spool, 'a');
    expect(spool.ack('maps', 3, [[0, 9]])).toEqual([]);
    expect(spool.ack('events', 2, [[0, 9]])).toEqual([]);
    expect(spool.ack('events', 3, [[5, 9]])).toEqual([]);
    expect(texts(spool)).toEqual(['3.0 a']);
  });

  it.each([1, 5, 9, 20])('is whole up to the last write when a crash tore %i bytes off it', (torn) => {
    const first = open(1);
    put(first, 'a', 'b', 'c');
    first.close();
    truncateSync(newestSegment(), readFileSync(newestSegment()).length - torn);
    const second = open(2);
    expect(texts(second)).toEqual(['1.0 a', '1.1 b']);
    put(second, 'd');
    expect(texts(second)).toEqual(['1.0 a', '1.1 b', '2.0 d']);
  });

  it('stops at a frame whose bytes are not what was written, and at rubbish', () => {
    const first = open(1);
    put(first, 'a', 'bbbbbbbb', 'c');
    first.close();
    const bytes = readFileSync(newestSegment());
    bytes[bytes.indexOf('bbbbbbbb')] = 0;
    writeFileSync(newestSegment(), bytes);
    const second = open(2);
    expect(texts(second)).toEqual(['1.0 a']);
    second.close();
    appendFileSync(newestSegment(), Buffer.alloc(4096, 0xff));
    expect(texts(open(3))).toEqual(['1.0 a']);
  });

  it('survives a segment that is empty or not there', () => {
    const first = open(1);
    put(first, 'a');
    first.close();
    writeFileSync(join(folder, '000000000099.log'), '');
    writeFileSync(join(folder, 'notes.txt'), 'not ours');
    const second = open(2);
    expect(texts(second)).toEqual(['1.0 a']);
    put(second, 'b');
    expect(segments()).toContain('000000000100.log');
  });

  it('passes by a segment that the disk does not give back, and says so', async () => {
    const first = open(1);
    put(first, 'a');
    first.close();
    const [bad] = segments();
    rmSync(join(folder, bad as string));
    // Reading it fails (EISDIR), as it does where a sector is bad (EIO).
    mkdirSync(join(folder, bad as string));
    const second = open(2);
    put(second, 'b');
    await second.sync();
    second.close();
    expect(second.unreadable).toEqual([expect.objectContaining({ code: 'EISDIR' })]);
    const third = open(3);
    expect([texts(third), third.unreadable]).toEqual([['2.0 b'], []]);
  });

  it('writes anew what a failed sync leaves in doubt, and holds it once, also after a restart', async () => {
    const first = open(1);
    put(first, 'a');
    const [kept] = first.all();
    const doubted = first.append([batch(first, 'b'), { ...batch(first, 'c'), number: first.nextNumber('events') + 1 }]);
    const again = first.rewrite(doubted);
    expect(texts(first)).toEqual(['1.0 a', '1.1 b', '1.2 c']);
    expect(doubted.map((one) => first.has(one))).toEqual([false, false]);
    expect(new Set(again.map(({ segment }) => segment.id))).toEqual(new Set([(kept?.segment.id ?? 0) + 1]));
    await first.sync();
    first.close();
    const second = open(2);
    expect(texts(second)).toEqual(['1.0 a', '1.1 b', '1.2 c']);
    second.ack('events', 1, [[0, 2]]);
    second.close();
    expect([open(3).batches, segments()]).toEqual([0, []]);
  });

  it('gives up the oldest first when it is full, says which, and reports the range', () => {
    const spool = open(1, { bytesMax: 1_000, segmentBytesMax: 300 });
    for (let index = 0; index < 20; index++) put(spool, `${index}`.padEnd(50, 'x'));
    expect(spool.bytes).toBeLessThanOrEqual(1_000);
    const numbers = dropped.map(({ number }) => number);
    expect(numbers).toEqual(numbers.map((_, index) => index));
    expect(numbers.length).toBeGreaterThan(0);
    expect(spool.lost('events')).toEqual([[0, numbers.length - 1]]);
    expect(spool.floor('events')).toBe(numbers.length);
    expect(spool.batches).toBe(20 - numbers.length);
  });

  it('bounds the number of batches and their age', () => {
    const spool = open(1, { batchesMax: 4, segmentBytesMax: 10 });
    put(spool, 'a', 'b', 'c', 'd', 'e', 'f');
    expect(spool.batches).toBeLessThanOrEqual(4);
    spool.close();
    const aged = open(2, { ageMsMax: 1_000, segmentBytesMax: 10 });
    put(aged, 'g');
    nowMs = 1_500;
    put(aged, 'h');
    expect(texts(aged)).toEqual(['2.1 h']);
  });

  it('leaves its reserve to others, and takes back what it holds for nobody before it refuses', () => {
    let freeBytes = 10_000;
    const limits = { reserveBytesMax: 5_000, reserveShare: 0.01 };
    const spool = open(1, limits, () => ({ freeBytes, totalBytes: 400_000 }));
    put(spool, 'a');
    freeBytes = 4_050;
    expect(() => put(spool, 'b')).toThrow(expect.objectContaining({ code: 'SPOOL_NO_ROOM' }));
    expect(texts(spool)).toEqual(['1.0 a']);
    spool.ack('events', 1, [[0, 0]]);
    expect(() => put(spool, 'b')).toThrow(expect.objectContaining({ code: 'SPOOL_NO_ROOM' }));
    expect([segments(), spool.bytes]).toEqual([[], 0]);
    freeBytes = 10_000;
    put(spool, 'b');
    expect(texts(spool)).toEqual(['1.1 b']);
  });

  it('remembers which drains of a ring were saved', () => {
    const first = open(1);
    first.append([batch(first, 'a', { ring: { boot: 'b', map: 7, from: '4096', bytes: 64 } })]);
    first.close();
    expect(open(2).ringMarks('b', 7)).toEqual([{ boot: 'b', map: 7, from: '4096', bytes: 64 }]);
    expect(open(3).ringMarks('other boot', 7)).toEqual([]);
  });
});
