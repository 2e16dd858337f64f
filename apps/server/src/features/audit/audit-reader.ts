import { Injectable } from '@nestjs/common';
import type { AuditEntry } from '@bpfleet/api';
import type { QueryOf, ResponseOf } from '../../http/route.js';
import { DomainError } from '../../platform/errors.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { FIRST_HASH, hashOf, type ChainRow } from './log/index.js';

/** How many rows are in memory at once, whatever the length of the log. */
const CHUNK_ROWS = 500;

interface Row extends Omit<ChainRow, 'at'> {
  readonly at: Date;
  readonly sequence: string;
}

/** pg gives a bigint as text. Cast in here, it would be ordered as text too. */
const COLUMNS = 'sequence, at, actor, action, subject, details, "previousHash", hash';

/** The audit log as it is read: pages of it, newest first, and whether its chain holds. */
@Injectable()
export class AuditReader {
  constructor(private readonly sql: ControlSql) {}

  /** Entries older than the cursor. An action is whole (`device.revoke`), or a noun with all that befell it (`device`). */
  async list(query: QueryOf<'listAudit'>): Promise<ResponseOf<'listAudit'>> {
    const { cursor, actor, action, since, limit } = query;
    const { rows } = await this.sql.pool.query<Row>(
      `SELECT ${COLUMNS} FROM "AuditEntry"
       WHERE ($1::bigint IS NULL OR sequence < $1) AND ($2::text IS NULL OR actor = $2)
         AND ($3::text IS NULL OR action = $3 OR starts_with(action, $3 || '.'))
         AND ($4::timestamptz IS NULL OR at >= $4)
       ORDER BY sequence DESC LIMIT $5`,
      [cursor ?? null, actor ?? null, action ?? null, since ?? null, limit + 1],
    );
    const page = rows.slice(0, limit);
    return { items: page.map(entryView), nextCursor: rows.length > limit ? (page.at(-1)?.sequence ?? null) : null };
  }

  /**
   * Computes the chain again, behind entry `after` (which the question before this one ended with) for at most `limit`
   * entries. Throws AUDIT_ENTRY_UNKNOWN (404).
   */
  async verify(after: string | undefined, limit: number): Promise<ResponseOf<'verifyAudit'>> {
    let last = after === undefined ? undefined : await this.at(after);
    let checked = 0;
    while (checked < limit) {
      const rows = await this.chunk(last?.sequence, Math.min(CHUNK_ROWS, limit - checked));
      for (const row of rows) {
        const previousHash = last?.hash ?? FIRST_HASH;
        const expected = hashOf({ ...row, at: row.at.toISOString(), previousHash });
        if (row.previousHash !== previousHash || row.hash !== expected) {
          return { checked, last: last ?? null, broken: row.sequence, more: false };
        }
        last = { sequence: row.sequence, hash: row.hash };
        checked += 1;
      }
      if (rows.length < CHUNK_ROWS && checked < limit)
        return { checked, last: last ?? null, broken: null, more: false };
    }
    return { checked, last: last ?? null, broken: null, more: true };
  }

  private async at(sequence: string): Promise<{ sequence: string; hash: string }> {
    const { rows } = await this.sql.pool.query<{ sequence: string; hash: string }>(
      'SELECT sequence, hash FROM "AuditEntry" WHERE sequence = $1',
      [sequence],
    );
    const row = rows[0];
    if (row) return row;
    const message = `there is no audit entry ${sequence}: it was there a moment ago, or was never written`;
    throw new DomainError(404, 'AUDIT_ENTRY_UNKNOWN', message);
  }

  private async chunk(after: string | undefined, limit: number): Promise<Row[]> {
    const { rows } = await this.sql.pool.query<Row>(
      `SELECT ${COLUMNS} FROM "AuditEntry" WHERE sequence > $1::bigint ORDER BY sequence LIMIT $2`,
      [after ?? '0', limit],
    );
    return rows;
  }
}

function entryView({ sequence, at, actor, action, subject, details, hash }: Row): AuditEntry {
  return { sequence, at: at.toISOString(), actor, action, subject, details: details as AuditEntry['details'], hash };
}
