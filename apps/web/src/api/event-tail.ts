import type { EventsResponse } from '@bpfleet/api';

export type EventRow = EventsResponse['rows'][number];

/** Rows on the screen, newest first, and where to go on reading older ones. */
export interface EventTail {
  columns: EventsResponse['columns'];
  rows: EventRow[];
  olderCursor: string | null;
  /** True when more arrived between two readings than one answer holds: the rows below the break were let go. */
  skipped: boolean;
}

/** Rows kept in the page; older ones can be had again from the server. */
export const tailRowsMax = 20_000;

export function startTail(response: EventsResponse): EventTail {
  return { columns: response.columns, rows: response.rows, olderCursor: response.nextCursor, skipped: false };
}

/**
 * Adds an answer that was asked with `from` = the time of the newest row held. Rows of that same instant come again, so
 * rows are told apart by content and, for equal content, by their number within one answer.
 */
export function addNewer(tail: EventTail, response: EventsResponse): EventTail {
  if (tail.rows.length === 0) return { ...startTail(response), skipped: tail.skipped };
  if (response.nextCursor !== null) return { ...startTail(response), skipped: true };
  const newestHeld = tail.rows[0]?.at;
  const held = new Set(numbered(tail.rows.filter((row) => row.at === newestHeld)).map(([key]) => key));
  const fresh = numbered(response.rows).filter(([key]) => !held.has(key));
  if (fresh.length === 0 && sameColumns(tail.columns, response.columns)) return tail;
  const rows = [...fresh.map(([, row]) => row), ...tail.rows];
  return { ...tail, columns: response.columns, rows: rows.slice(0, tailRowsMax) };
}

export function addOlder(tail: EventTail, response: EventsResponse): EventTail {
  return { ...tail, rows: [...tail.rows, ...response.rows].slice(0, tailRowsMax), olderCursor: response.nextCursor };
}

function numbered(rows: readonly EventRow[]): [string, EventRow][] {
  const seen = new Map<string, number>();
  return rows.map((row) => {
    const content = `${row.at} ${row.device} ${row.run} ${JSON.stringify(row.fields)}`;
    const number = (seen.get(content) ?? 0) + 1;
    seen.set(content, number);
    return [`${content} ${number}`, row];
  });
}

function sameColumns(left: EventsResponse['columns'], right: EventsResponse['columns']): boolean {
  return left.length === right.length && left.every((column, index) => column.name === right[index]?.name);
}
