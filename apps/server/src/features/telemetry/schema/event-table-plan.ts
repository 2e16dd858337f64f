import { createHash } from 'node:crypto';
import { PARTITION_SUFFIX_BYTES } from './partition-plan.js';
import { telemetryLimits } from './settings.js';
import { TelemetryError } from './telemetry-error.js';

/** One field of an event as its release's BTF has it. */
export interface WantedField {
  readonly name: string;
  readonly pgType: string;
  readonly dictionary?: string | undefined;
}

/** One column of an event's table. */
export interface EventTableColumn {
  readonly columnName: string;
  readonly field: string;
  readonly pgType: string;
  readonly dictionary: string | null;
}

/** Of every event table, before the columns of the event itself. */
export const FIXED_COLUMNS = ['ts', 'device', 'run', 'release'] as const;

/** The fixed columns, and those that PostgreSQL keeps for itself. */
const RESERVED = new Set<string>([...FIXED_COLUMNS, 'tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid', 'oid']);

const HASH_DIGITS = 8;

/** Table of one event. Names that would not fit are cut and made unique again by a digest. */
export function eventTableName(probe: string, event: string): string {
  return bounded(`ev_${probe}__${event}`, telemetryLimits.nameBytesMax - PARTITION_SUFFIX_BYTES, `${probe} ${event}`);
}

/** What people read: `trace_exec_exec`; `taken` are names that something else in the schema has. */
export function eventViewName(probe: string, event: string, taken: ReadonlySet<string>): string {
  const plain = bounded(`${probe}_${event}`, telemetryLimits.nameBytesMax, `${probe} ${event}`);
  if (!taken.has(plain)) return plain;
  // Probe `a`, event `b_c` and probe `a_b`, event `c` would share a name.
  return withDigest(`${probe}_${event}`, telemetryLimits.nameBytesMax, `${probe} ${event}`);
}

/**
 * Columns that a table lacks for these fields. Columns are only ever added: a field whose type changed gets a second one,
 * `field__2`, so that older rows and the queries over them stay as they are.
 * @throws TelemetryError TELEMETRY_LIMIT above 128 columns
 */
export function columnsToAdd(
  existing: readonly EventTableColumn[],
  fields: readonly WantedField[],
): readonly EventTableColumn[] {
  const taken = new Set([...RESERVED, ...existing.map((column) => column.columnName)]);
  const have = new Set(existing.map(({ field, pgType }) => `${field} ${pgType}`));
  const added: EventTableColumn[] = [];
  for (const { name, pgType, dictionary } of fields) {
    if (have.has(`${name} ${pgType}`)) continue;
    have.add(`${name} ${pgType}`);
    const columnName = freeName(name, taken);
    taken.add(columnName);
    added.push({ columnName, field: name, pgType, dictionary: dictionary ?? null });
  }
  const total = FIXED_COLUMNS.length + existing.length + added.length;
  if (total > telemetryLimits.eventColumnsMax) {
    throw new TelemetryError(
      'TELEMETRY_LIMIT',
      `the event would need ${total} columns and may have ${telemetryLimits.eventColumnsMax}`,
      { columns: total, columnsMax: telemetryLimits.eventColumnsMax },
    );
  }
  return added;
}

/** Columns in the order of `fields`, or undefined when the table lacks one. */
export function columnsFor(
  existing: readonly EventTableColumn[],
  fields: readonly WantedField[],
): readonly EventTableColumn[] | undefined {
  const byField = new Map(existing.map((column) => [`${column.field} ${column.pgType}`, column]));
  const found = fields.map(({ name, pgType }) => byField.get(`${name} ${pgType}`));
  return found.every((column) => column !== undefined) ? (found as EventTableColumn[]) : undefined;
}

function freeName(field: string, taken: ReadonlySet<string>): string {
  const base = bounded(field, telemetryLimits.nameBytesMax - 5, field);
  if (!taken.has(base)) return base;
  let number = 2;
  while (taken.has(`${base}__${number}`)) number += 1;
  return `${base}__${number}`;
}

function bounded(name: string, bytesMax: number, identity: string): string {
  return name.length <= bytesMax ? name : withDigest(name, bytesMax, identity);
}

/** Names are ASCII by the manifest's schema, so characters are bytes. */
function withDigest(name: string, bytesMax: number, identity: string): string {
  const digest = createHash('sha256').update(identity).digest('hex').slice(0, HASH_DIGITS);
  return `${name.slice(0, bytesMax - HASH_DIGITS - 1)}_${digest}`;
}
