import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { digestOf } from '@bpfleet/trust';
import { Clock } from '../clock.js';
import { ControlSql } from '../sql/control-sql.js';

/** Content by SHA-256, in Postgres, so that every replica has it. */
@Injectable()
export class BlobStore {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
  ) {}

  /**
   * Stores the bytes once and returns their digest. What is here already counts as new again: whoever puts it is about to name
   * it, and a clean-up by age must not take it away in between. (Postgres keeps the bytes out of line, so only the row is new.)
   * With `client`, in its transaction.
   */
  async put(kind: string, bytes: Buffer, client?: pg.PoolClient): Promise<string> {
    const digest = digestOf(bytes);
    await (client ?? this.sql.pool).query(
      `INSERT INTO "Blob" (digest, kind, bytes, "createdAt") VALUES ($1, $2, $3, $4)
       ON CONFLICT (digest) DO UPDATE SET "createdAt" = GREATEST("Blob"."createdAt", EXCLUDED."createdAt")`,
      [digest, kind, bytes, this.clock.now()],
    );
    return digest;
  }

  async get(digest: string): Promise<Buffer | undefined> {
    const { rows } = await this.sql.pool.query<{ bytes: Buffer }>('SELECT bytes FROM "Blob" WHERE digest = $1', [
      digest,
    ]);
    return rows[0]?.bytes;
  }

  /** At most `bytesMax` bytes from `offset` (both in bytes), cut in Postgres so that a chunk costs a chunk. */
  async slice(
    digest: string,
    offset: number,
    bytesMax: number,
  ): Promise<{ totalBytes: number; bytes: Buffer } | undefined> {
    const { rows } = await this.sql.pool.query<{ total: number; bytes: Buffer }>(
      'SELECT length(bytes) AS total, substring(bytes FROM $2::int FOR $3::int) AS bytes FROM "Blob" WHERE digest = $1',
      [digest, offset + 1, bytesMax],
    );
    const row = rows[0];
    return row && { totalBytes: row.total, bytes: row.bytes };
  }
}
