import { describe, expect, it } from '@jest/globals';
import { EventFollower, type EventRow } from './event-follower.js';
import { eventLine } from './event-line.js';

const row = (second: number, pid = second): EventRow => ({
  at: `2026-05-01T10:00:${String(second).padStart(2, '0')}.000Z`,
  device: 'd0001a7c2f9',
  run: 'run1',
  fields: { pid },
});
const pids = (rows: EventRow[]) => rows.map((one) => one.fields.pid);

describe('EventFollower', () => {
  it('gives each row once, oldest first, though answers overlap', () => {
    const follower = new EventFollower('2026-05-01T09:59:00.000Z');
    expect(pids(follower.take([row(2), row(1)]))).toEqual([1, 2]);
    expect(pids(follower.take([row(3), row(2), row(1)]))).toEqual([3]);
    expect(follower.take([row(3), row(2), row(1)])).toEqual([]);
  });

  it('gives a row that came late', () => {
    const follower = new EventFollower('2026-05-01T09:59:00.000Z');
    follower.take([row(5)]);
    expect(pids(follower.take([row(5), row(4)]))).toEqual([4]);
  });

  it('tells equal events apart by their number', () => {
    const follower = new EventFollower('2026-05-01T09:59:00.000Z');
    expect(follower.take([row(1), row(1)])).toHaveLength(2);
    expect(follower.take([row(1), row(1), row(1)])).toHaveLength(1);
  });

  it('asks from the start at first, then with an overlap, never before the start', () => {
    const follower = new EventFollower('2026-05-01T10:00:00.000Z');
    expect(follower.from()).toBe('2026-05-01T10:00:00.000Z');
    follower.take([row(4)]);
    expect(follower.from()).toBe('2026-05-01T10:00:00.000Z');
    follower.take([row(30)]);
    expect(follower.from()).toBe('2026-05-01T10:00:20.000Z');
  });
});

describe('eventLine', () => {
  it('quotes what has blanks and lets nothing through that a terminal obeys', () => {
    const fields = { pid: 7, comm: 'a b', path: '/x\u001b]0;t\u0007', ok: true, none: null, quote: 'say "hi"' };
    expect(eventLine({ ...row(1), fields }, ['comm', 'gone'], 'exec')).toBe(
      '10:00:01.000 exec comm="a b" pid=7 path=/x\ufffd]0;t\ufffd ok=true none=- quote="say \\"hi\\""',
    );
  });
});
