import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Clock } from '../../../platform/clock.js';
import type { SqlTransaction } from '../../../platform/prisma/prisma-sql.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';

export interface AuditRecord {
  readonly actor: string;
  /** `noun.verb`, such as `assignment.create`. */
  readonly action: string;
  readonly subject: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** What the first entry follows from. */
export const FIRST_HASH = '0'.repeat(64);
/** Serialises writers, so that the chain never forks. */
const CHAIN_LOCK = 0x61756474;

/** What an entry's hash is over, and the hash. */
export interface ChainRow {
  at: string;
  actor: string;
  action: string;
  subject: string;
  details: unknown;
  previousHash: string;
  hash: string;
}

export function hashOf(row: Omit<ChainRow, 'hash'>): string {
  const { at, actor, action, subject, details, previousHash } = row;
  const text = JSON.stringify([previousHash, at, actor, action, subject, canonical(details)]);
  return createHash('sha256').update(text).digest('hex');
}

/** jsonb does not keep the order of keys, so the hash must not depend on it. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (value === null || typeof value !== 'object') return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => [key, canonical(inner)]);
}

/** Every mutation by a person, hash-chained: a row removed or changed afterwards breaks the chain at that place. */
@Injectable()
export class AuditLog {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
  ) {}

  /**
   * In the transaction of what is recorded, so that neither is there without the other. Its last statement: until COMMIT
   * every other writer of the chain waits, and whoever waits for the chain must hold nothing that this one still needs.
   */
  async record(transaction: SqlTransaction, entry: AuditRecord): Promise<void> {
    await transaction.query('SELECT pg_advisory_xact_lock($1::bigint)::text', [CHAIN_LOCK]);
    const { rows } = await transaction.query('SELECT hash FROM "AuditEntry" ORDER BY sequence DESC LIMIT 1');
    const last = rows[0] as { hash: string } | undefined;
    const row = {
      at: this.clock.now().toISOString(),
      actor: entry.actor,
      action: entry.action,
      subject: entry.subject,
      details: JSON.parse(JSON.stringify(entry.details ?? {})) as unknown,
      previousHash: last?.hash ?? FIRST_HASH,
    };
    await transaction.query(
      `INSERT INTO "AuditEntry" (at, actor, action, subject, details, "previousHash", hash)
       VALUES ($1::timestamptz, $2, $3, $4, $5::jsonb, $6, $7)`,
      [row.at, row.actor, row.action, row.subject, JSON.stringify(row.details), row.previousHash, hashOf(row)],
    );
  }

  /** What changes nothing else, such as a refusal. */
  async recordAlone(entry: AuditRecord): Promise<void> {
    await this.sql.withTransaction((client) => this.record(client, entry));
  }
}
