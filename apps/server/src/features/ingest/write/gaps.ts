import { weekOf } from '../../telemetry/index.js';
import { lacksPartition } from './sql-errors.js';

/** How long rows of such a time are not tried again: devices send them again meanwhile, and control makes partitions each hour. */
const REMEMBERED_MS = 30_000;
const GAPS_MAX = 256;

/** A time for which a table has no partition. */
export interface Gap {
  readonly table: string;
  readonly fromMicros: number;
  readonly toMicros: number;
}

/** What one batch would put where. */
export interface Touched {
  readonly tables: ReadonlySet<string>;
  readonly fromMicros: number;
  readonly toMicros: number;
}

/**
 * Partitions that control has not made, as PostgreSQL's refusals tell of them. Rows for them are as good as any, so their batches
 * are neither stored nor refused: without an acknowledgement they stay in their device's spool and come again, and the batches
 * of all other tables go on.
 */
export class Gaps {
  private readonly known = new Map<string, Gap & { readonly until: number }>();

  constructor(private readonly nowMs: () => number) {}

  /** Notes what the error tells of. False when it is about something else, or about a gap that is known and was not gone round. */
  learn(error: unknown): boolean {
    const gap = gapOf(error);
    if (gap === undefined) return false;
    const key = `${gap.table} ${gap.fromMicros}`;
    const isNews = !this.current().some(({ table, fromMicros }) => `${table} ${fromMicros}` === key);
    if (this.known.size >= GAPS_MAX) this.known.clear();
    this.known.set(key, { ...gap, until: this.nowMs() + REMEMBERED_MS });
    return isNews;
  }

  current(): readonly Gap[] {
    const now = this.nowMs();
    for (const [key, { until }] of this.known) if (until <= now) this.known.delete(key);
    return [...this.known.values()];
  }
}

export function fallsInto(gap: Gap, { tables, fromMicros, toMicros }: Touched): boolean {
  return tables.has(gap.table) && fromMicros < gap.toMicros && gap.fromMicros <= toMicros;
}

/** `Partition key of the failing row contains (ts) = (2026-11-23 05:00:00+00).` */
const KEY_TIME = /\(ts\) = \((\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.\d{1,6})?([+-]\d{2})(?::?(\d{2}))?\)/;

/** The time that a `no partition of relation … found for row` is about; all times, when it does not say one. */
export function gapOf(error: unknown): Gap | undefined {
  const { table, detail } = error as { readonly table?: string; readonly detail?: string };
  if (table === undefined || !lacksPartition(error)) return undefined;
  const said = KEY_TIME.exec(detail ?? '');
  if (said === null) return { table, fromMicros: -Infinity, toMicros: Infinity };
  const [, day, time, hours, minutes = '00'] = said;
  const { from, to } = weekOf(Date.parse(`${day}T${time}${hours}:${minutes}`));
  return { table, fromMicros: from.getTime() * 1000, toMicros: to.getTime() * 1000 };
}
