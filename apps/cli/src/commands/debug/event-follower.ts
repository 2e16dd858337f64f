import type { EventsResponse } from '@bpfleet/api';

export type EventRow = EventsResponse['rows'][number];

/** Events can arrive a little out of order: what waited in a spool comes later than what did not. */
const overlapMs = 10_000;

/** Remembers what of one event was shown already, so that each is shown once, though answers overlap. */
export class EventFollower {
  private newestMs: number | undefined;
  private shown = new Map<string, number>();

  constructor(private readonly since: string) {}

  /** The `from` to ask with. */
  from(): string {
    const start = Date.parse(this.since);
    return new Date(this.newestMs === undefined ? start : Math.max(start, this.newestMs - overlapMs)).toISOString();
  }

  /** What is new among rows that come newest first, in the order in which it happened. */
  take(rows: readonly EventRow[]): EventRow[] {
    const seen = new Map<string, number>();
    const fresh: EventRow[] = [];
    for (const row of [...rows].reverse()) {
      const content = `${row.at} ${row.device} ${JSON.stringify(row.fields)}`;
      // Equal rows are told apart by their number: two equal events within a microsecond are two events.
      const number = (seen.get(content) ?? 0) + 1;
      seen.set(content, number);
      if (number > (this.shown.get(content) ?? 0)) fresh.push(row);
      this.newestMs = Math.max(this.newestMs ?? 0, Date.parse(row.at));
    }
    for (const [content, number] of seen) this.shown.set(content, Math.max(number, this.shown.get(content) ?? 0));
    this.forgetOld();
    return fresh;
  }

  private forgetOld(): void {
    const oldest = (this.newestMs ?? 0) - 2 * overlapMs;
    for (const content of this.shown.keys()) {
      if (Date.parse(content.slice(0, content.indexOf(' '))) < oldest) this.shown.delete(content);
    }
  }
}
