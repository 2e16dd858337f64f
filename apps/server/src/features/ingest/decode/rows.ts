import { CopyWriter } from '@bpfleet/btf';
import pg from 'pg';

/** Where COPY puts rows: a table and its columns in order. */
export interface CopyTarget {
  readonly table: string;
  readonly columns: readonly string[];
}

interface TableRows {
  readonly target: CopyTarget;
  readonly writer: CopyWriter;
  rows: number;
}

export interface SeriesKey {
  readonly device: string;
  readonly run: string;
  readonly release: string;
  readonly probe: string;
  readonly metric: string;
  /** Canonical JSON. */
  readonly labels: string;
}

/** A value of one series at one time; `value` null says that the map entry went. */
export type PointRow =
  | { readonly kind: 'sample'; readonly series: SeriesKey; readonly micros: number; readonly value: number | null }
  | {
      readonly kind: 'hist';
      readonly series: SeriesKey;
      readonly micros: number;
      readonly sum: number | null;
      readonly count: number;
      readonly buckets: readonly number[];
    };

export interface StackRow {
  readonly run: string;
  readonly boot: string;
  readonly map: string;
  readonly id: number;
  readonly device: string;
  readonly frames: readonly bigint[];
}

export interface NameRow {
  readonly device: string;
  readonly boot: string;
  readonly kind: string;
  readonly id: string;
  readonly name: string;
}

export interface RunTally {
  samples: number;
  events: number;
}

export interface Mark {
  readonly tables: ReadonlyMap<string, { readonly position: number; readonly rows: number }>;
  readonly points: number;
  readonly stacks: number;
  readonly names: number;
}

const COPY_HEADER_BYTES = 19;

/** Everything one transaction will store. A batch that turns out to be malformed half-way is taken back as a whole. */
export class Rows {
  readonly points: PointRow[] = [];
  readonly stacks: StackRow[] = [];
  readonly names: NameRow[] = [];
  private readonly tables = new Map<string, TableRows>();

  /** The writer of one table, between two tuples. The caller writes one whole tuple and then calls `added`. */
  table(target: CopyTarget): TableRows {
    const key = copySql(target);
    let rows = this.tables.get(key);
    if (rows === undefined) {
      rows = { target, writer: new CopyWriter(), rows: 0 };
      rows.writer.header();
      this.tables.set(key, rows);
    }
    return rows;
  }

  mark(): Mark {
    return {
      tables: new Map([...this.tables].map(([key, { writer, rows }]) => [key, { position: writer.position, rows }])),
      points: this.points.length,
      stacks: this.stacks.length,
      names: this.names.length,
    };
  }

  rewind(mark: Mark): void {
    for (const [key, table] of this.tables) {
      const before = mark.tables.get(key);
      table.writer.rewind(before?.position ?? COPY_HEADER_BYTES);
      table.rows = before?.rows ?? 0;
    }
    this.points.length = mark.points;
    this.stacks.length = mark.stacks;
    this.names.length = mark.names;
  }

  /** The partitioned tables that have rows since the mark. */
  tablesSince(mark: Mark): Set<string> {
    const touched = new Set<string>(this.points.slice(mark.points).map(({ kind }) => kind));
    for (const [key, { target, rows }] of this.tables) {
      if (rows > (mark.tables.get(key)?.rows ?? 0)) touched.add(target.table);
    }
    return touched;
  }

  /** COPY statements with their bytes, sorted by statement. */
  *copies(): Generator<{ readonly sql: string; readonly bytes: Buffer; readonly rows: number }> {
    for (const [sql, { writer, rows }] of [...this.tables].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (rows === 0) continue;
      writer.trailer();
      yield { sql, bytes: Buffer.from(writer.bytes.buffer, 0, writer.position), rows };
    }
  }
}

export function copySql({ table, columns }: CopyTarget): string {
  const names = columns.map((column) => pg.escapeIdentifier(column)).join(', ');
  return `COPY telemetry.${pg.escapeIdentifier(table)} (${names}) FROM STDIN BINARY`;
}
