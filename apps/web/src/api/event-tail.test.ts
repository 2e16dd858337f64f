import { describe, expect, it } from '@jest/globals';
import { addNewer, addOlder, newerFrom, startTail, type EventRow } from './event-tail.js';

const row = (second: number, pid = second): EventRow => ({
  at: `2026-05-01T10:00:${String(second).padStart(2, '0')}.000Z`,
  device: 'd0001a7c2f9',
  run: 'run1',
  fields: { pid },
});
const answer = (rows: EventRow[], nextCursor: string | null = null) => ({
  columns: [{ name: 'pid', type: 'int8' }],
  rows,
  nextCursor,
});
const pids = (tail: { rows: EventRow[] }) => tail.rows.map((one) => one.fields.pid);

describe('event tail', () => {
  it('puts newer rows on top, each once', () => {
    const tail = addNewer(startTail(answer([row(2), row(1)], 'older')), answer([row(3), row(2), row(1)]));
    expect(pids(tail)).toEqual([3, 2, 1]);
    expect(tail.olderCursor).toBe('older');
  });

  it('is the same object when nothing is new, so that nothing is drawn again', () => {
    const tail = startTail(answer([row(2), row(1)]));
    expect(addNewer(tail, answer([row(2), row(1)]))).toBe(tail);
    expect(addNewer(tail, answer([]))).toBe(tail);
  });

  it('sorts in a row that came late', () => {
    const tail = addNewer(startTail(answer([row(5), row(3)])), answer([row(6), row(5), row(4), row(3)]));
    expect(pids(tail)).toEqual([6, 5, 4, 3]);
  });

  it('keeps events that are equal in everything', () => {
    const tail = addNewer(startTail(answer([row(1)])), answer([row(1), row(1)]));
    expect(pids(tail)).toEqual([1, 1]);
  });

  it('starts anew when more came than one answer holds, and says so', () => {
    const tail = addNewer(startTail(answer([row(1)])), answer([row(9), row(8)], 'more'));
    expect(pids(tail)).toEqual([9, 8]);
    expect(tail.skipped).toBe(true);
    expect(tail.olderCursor).toBe('more');
  });

  it('is no gap when a full answer reaches what is held', () => {
    const tail = addNewer(startTail(answer([row(3), row(2), row(1)])), answer([row(4), row(3), row(2)], 'more'));
    expect(pids(tail)).toEqual([4, 3, 2, 1]);
    expect(tail.skipped).toBe(false);
  });

  it('asks with an overlap', () => {
    expect(newerFrom(startTail(answer([row(30)])))).toBe('2026-05-01T10:00:20.000Z');
    expect(newerFrom(startTail(answer([])))).toBeUndefined();
  });

  it('keeps a column that only some answers have', () => {
    const tail = startTail(answer([row(1)]));
    const next = addNewer(tail, { ...answer([row(2), row(1)]), columns: [{ name: 'comm', type: 'text' }] });
    expect(next.columns.map((column) => column.name)).toEqual(['pid', 'comm']);
  });

  it('goes on below', () => {
    const tail = addOlder(startTail(answer([row(5)], 'a')), answer([row(4)], null));
    expect(pids(tail)).toEqual([5, 4]);
    expect(tail.olderCursor).toBeNull();
  });
});
