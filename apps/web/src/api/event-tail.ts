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

/** Events can arrive a little out of order: a device sends several streams, and what waited in a spool comes later. */
const overlapMs = 10_000;

/** The `from` to ask with, so that the answer overlaps what is held. */
export function newerFrom(tail: EventTail): string | undefined {
  const newest = tail.rows[0]?.at;
  return newest === undefined ? undefined : new Date(Date.parse(newest) - overlapMs).toISOString();
}

/**
 * Adds an answer that was asked from `newerFrom`. Rows of the overlap come again, so rows are told apart by content and,
 * for equal content, by their number within one answer.
 */
export function addNewer(tail: EventTail, response: EventsResponse): EventTail {
  const newest = tail.rows[0];
  const oldestGiven = response.rows.at(-1);
  if (!newest) return { ...startTail(response), skipped: tail.skipped };
  if (!oldestGiven) return tail;
  const isGap = response.nextCursor !== null && Date.parse(oldestGiven.at) > Date.parse(newest.at);
  if (isGap) return { ...startTail(response), skipped: true };
  const since = Date.parse(oldestGiven.at);
  const firstBelow = tail.rows.findIndex((row) => Date.parse(row.at) < since);
  const overlap = firstBelow < 0 ? tail.rows : tail.rows.slice(0, firstBelow);
  const held = new Set(numbered(overlap).map(([key]) => key));
  const fresh = numbered(response.rows).filter(([key]) => !held.has(key));
  if (fresh.length === 0) return tail;
  const head = [...fresh.map(([, row]) => row), ...overlap].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
  const rows = [...head, ...tail.rows.slice(overlap.length)];
  return { ...tail, columns: allColumns(tail, response), rows: rows.slice(0, tailRowsMax) };
}

export function addOlder(tail: EventTail, response: EventsResponse): EventTail {
  const rows = [...tail.rows, ...response.rows].slice(0, tailRowsMax);
  return { ...tail, columns: allColumns(tail, response), rows, olderCursor: response.nextCursor };
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

/** Events of debug runs have no table of their own: an answer names the columns of its own rows only. */
function allColumns(tail: EventTail, response: EventsResponse): EventTail['columns'] {
  const added = response.columns.filter((column) => !tail.columns.some((held) => held.name === column.name));
  return added.length === 0 ? tail.columns : [...tail.columns, ...added];
}
