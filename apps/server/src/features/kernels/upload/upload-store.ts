import { Injectable } from '@nestjs/common';
import type { UploadChunk } from '@bpfleet/wire';
import type pg from 'pg';
import { ControlSql } from '../../../platform/sql/control-sql.js';

export interface Asked {
  readonly digest: string;
  readonly device: string;
  readonly offset: number;
}

/**
 * `more`: ask for what follows; `whole`: nothing is missing; `stale`: this part is here already; `unasked`: nobody asked
 * this device for it, or not for this; `crumbs`, `late`: it keeps others waiting, by parts too small or in all too long.
 */
export type Appended =
  | { readonly kind: 'more'; readonly asked: Asked }
  | { readonly kind: 'whole' | 'stale' | 'unasked' | 'crumbs' | 'late' };

export interface WholeUpload {
  readonly device: string;
  readonly bytes: Buffer;
}

interface UploadRow {
  state: string;
  deviceId: string | null;
  receivedBytes: number;
  totalBytes: number | null;
  begunAt: Date | null;
}

/**
 * An agent sends 128 KiB at once, halved until it deflates to 64 KiB: 32 KiB of what does not deflate at all. Only a last part
 * may be smaller than this.
 */
const CHUNK_RAW_BYTES_MIN = 16 * 1024;
/** For 32 MiB, which is more than any kernel has, 5 KB a second. */
export const UPLOAD_MS_MAX = 2 * 3_600_000;
/** A device that gives others' time for nothing is soon no longer asked. */
const GIVEN_PER_DAY_MAX = 4;
const DAY_MS = 86_400_000;
const ROUND_LOCK = 0x62746675;

/** Rows of BTF that is on its way. A chunk is written once, whichever replica hears it. */
@Injectable()
export class UploadStore {
  constructor(private readonly sql: ControlSql) {}

  /** True when there is something to ask that was not there before. */
  async want(digest: string, device: string, now: Date): Promise<boolean> {
    const { rowCount } = await this.sql.pool.query(
      `INSERT INTO "BtfUpload" (digest, "wantedAt")
       SELECT $1, $3 WHERE NOT EXISTS (SELECT FROM "KernelBtf" WHERE digest = $1)
       ON CONFLICT (digest) DO UPDATE SET tried = array_remove("BtfUpload".tried, $2)
         WHERE $2 = ANY("BtfUpload".tried)`,
      [digest, device, now],
    );
    return rowCount === 1;
  }

  async append(device: string, digest: string, chunk: UploadChunk, now: Date): Promise<Appended> {
    return this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<UploadRow>(
        `SELECT state, "deviceId", "receivedBytes", "totalBytes", "begunAt" FROM "BtfUpload" WHERE digest = $1 FOR UPDATE`,
        [digest],
      );
      const row = rows[0];
      if (row?.state !== 'asking' || row.deviceId !== device) return { kind: 'unasked' };
      if (chunk.offset < row.receivedBytes) return { kind: 'stale' };
      const otherTotal = row.totalBytes !== null && row.totalBytes !== chunk.totalBytes;
      if (chunk.offset > row.receivedBytes || otherTotal) return { kind: 'unasked' };
      const offset = chunk.offset + chunk.bytes.length;
      if (chunk.bytes.length < CHUNK_RAW_BYTES_MIN && offset < chunk.totalBytes) return { kind: 'crumbs' };
      if (row.begunAt !== null && now.getTime() - row.begunAt.getTime() > UPLOAD_MS_MAX) return { kind: 'late' };
      await client.query('INSERT INTO "BtfUploadChunk" (digest, "offset", bytes) VALUES ($1, $2, $3)', [
        digest,
        chunk.offset,
        chunk.bytes,
      ]);
      await client.query(
        `UPDATE "BtfUpload" SET "receivedBytes" = $2, "totalBytes" = $3, "askedAt" = $4, silence = 0 WHERE digest = $1`,
        [digest, offset, chunk.totalBytes, now],
      );
      return offset === chunk.totalBytes ? { kind: 'whole' } : { kind: 'more', asked: { digest, device, offset } };
    });
  }

  /** Undefined when it is not whole, or another replica was faster. */
  async whole(digest: string): Promise<WholeUpload | undefined> {
    const { rows } = await this.sql.pool.query<{ device: string; bytes: Buffer }>(
      `SELECT u."deviceId" AS device, c.bytes FROM "BtfUpload" u JOIN "BtfUploadChunk" c ON c.digest = u.digest
       WHERE u.digest = $1 AND u.state = 'asking' AND u."receivedBytes" = u."totalBytes" ORDER BY c."offset"`,
      [digest],
    );
    const device = rows[0]?.device;
    return device === undefined ? undefined : { device, bytes: Buffer.concat(rows.map(({ bytes }) => bytes)) };
  }

  async remove(digest: string): Promise<void> {
    await this.sql.pool.query('DELETE FROM "BtfUpload" WHERE digest = $1', [digest]);
  }

  /** The bytes of this digest are no BTF: nobody is asked for them again. */
  async refuse(digest: string, reason: string): Promise<void> {
    await this.sql.withTransaction(async (client) => {
      await dropChunks(client, digest);
      await client.query(`UPDATE "BtfUpload" SET state = 'refused', reason = $2, "deviceId" = NULL WHERE digest = $1`, [
        digest,
        reason,
      ]);
    });
  }

  /** It came and cannot be kept now: wanted still, from its start and of whoever has it then. */
  async putBack(digest: string, reason: string): Promise<void> {
    await this.sql.withTransaction(async (client) => {
      await dropChunks(client, digest);
      await client.query(`UPDATE "BtfUpload" SET state = 'wanted', reason = $2, "deviceId" = NULL WHERE digest = $1`, [
        digest,
        reason,
      ]);
    });
  }

  /** Says why of all that wait while there is no room; with room, what was refused for want of it is wanted again. */
  async tellRoom(client: pg.PoolClient, room: boolean, reason: string): Promise<void> {
    await client.query(
      room
        ? `UPDATE "BtfUpload" SET state = 'wanted', reason = NULL WHERE reason = $1`
        : `UPDATE "BtfUpload" SET reason = $1 WHERE state = 'wanted' AND reason IS DISTINCT FROM $1`,
      [reason],
    );
  }

  /** This device will not do: `tried` until its next birth, `lied` for good. Others that wait are asked first from now on. */
  async giveUp(digest: string, device: string, list: 'tried' | 'lied', reason: string, now: Date): Promise<void> {
    await this.sql.withTransaction(async (client) => {
      const { rowCount } = await client.query(
        `UPDATE "BtfUpload" SET state = 'wanted', ${list} = array_append(${list}, $2), reason = $3, "wantedAt" = $4
         WHERE digest = $1 AND "deviceId" = $2 AND state = 'asking'`,
        [digest, device, reason, now],
      );
      if (rowCount === 1 && list === 'lied') await dropChunks(client, digest);
    });
  }

  /** What is whole and was left so by a replica that ended. */
  async leftWhole(before: Date): Promise<string[]> {
    const { rows } = await this.sql.pool.query<{ digest: string }>(
      `SELECT digest FROM "BtfUpload" WHERE state = 'asking' AND "receivedBytes" = "totalBytes" AND "askedAt" <= $1`,
      [before],
    );
    return rows.map(({ digest }) => digest);
  }

  /** One replica at a time; undefined when another one is at it. */
  async inRound<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T | undefined> {
    return this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<{ mine: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS mine', [
        ROUND_LOCK,
      ]);
      return rows[0]?.mine ? work(client) : undefined;
    });
  }

  /** What no device has any more is not wanted. */
  async forgetUnowned(client: pg.PoolClient): Promise<void> {
    await client.query(
      `DELETE FROM "BtfUpload" u WHERE NOT EXISTS (
         SELECT FROM "KernelGroup" g JOIN "Device" d ON d."kernelGroupId" = g.id WHERE g."btfDigest" = u.digest)`,
    );
  }

  /**
   * Questions that had no answer since `before`: put again, until a device that is online was silent too often. One that
   * went offline keeps what it gave, for when it comes back and nobody else has it.
   */
  async askAgain(client: pg.PoolClient, before: Date, now: Date, silenceMax: number): Promise<Asked[]> {
    await client.query(
      `UPDATE "BtfUpload" u SET state = 'wanted', tried = CASE WHEN d.online THEN array_append(tried, d.id) ELSE tried END,
         reason = CASE WHEN d.online THEN 'the device does not answer' ELSE 'the device went offline' END
       FROM "Device" d WHERE d.id = u."deviceId" AND u.state = 'asking' AND u."askedAt" <= $1
         AND (NOT d.online OR d.status <> 'active' OR u.silence + 1 >= $2)`,
      [before, silenceMax],
    );
    const { rows } = await client.query<Asked>(
      `UPDATE "BtfUpload" SET silence = silence + 1, "askedAt" = $2
       WHERE state = 'asking' AND "askedAt" <= $1 AND "receivedBytes" IS DISTINCT FROM "totalBytes"
       RETURNING digest, "deviceId" AS device, "receivedBytes" AS "offset"`,
      [before, now],
    );
    return rows;
  }

  async asking(client: pg.PoolClient): Promise<number> {
    const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM "BtfUpload" WHERE state = 'asking'`);
    return Number(rows[0]?.count);
  }

  /** The next device to ask, and where to go on: with another device than before from the start, so that blame is clear. */
  async askNext(client: pg.PoolClient, now: Date): Promise<Asked | undefined> {
    const { rows } = await client.query<{ digest: string; device: string; kept: boolean }>(
      `SELECT u.digest, d.id AS device, u."deviceId" IS NOT DISTINCT FROM d.id AS kept
       FROM "BtfUpload" u JOIN "KernelGroup" g ON g."btfDigest" = u.digest JOIN "Device" d ON d."kernelGroupId" = g.id
       WHERE u.state = 'wanted' AND d.online AND d.status = 'active' AND d.id <> ALL(u.tried) AND d.id <> ALL(u.lied)
         AND NOT EXISTS (SELECT FROM "BtfUpload" o WHERE o.state = 'asking' AND o."deviceId" = d.id)
         AND (SELECT count(*) FROM "KernelBtf" b WHERE b."addedBy" = d.id AND b.source = 'device' AND b."createdAt" > $1) < $2
       ORDER BY u."wantedAt", u.digest, kept DESC, d.id LIMIT 1 FOR UPDATE OF u`,
      [new Date(now.getTime() - DAY_MS), GIVEN_PER_DAY_MAX],
    );
    const next = rows[0];
    if (!next) return undefined;
    const { digest, device, kept } = next;
    if (!kept) await dropChunks(client, digest);
    const asked = await client.query<Asked>(
      `UPDATE "BtfUpload" SET state = 'asking', "deviceId" = $2, "askedAt" = $3, "begunAt" = $3, silence = 0, reason = NULL
       WHERE digest = $1 RETURNING digest, "deviceId" AS device, "receivedBytes" AS "offset"`,
      [digest, device, now],
    );
    return asked.rows[0];
  }
}

async function dropChunks(client: pg.PoolClient, digest: string): Promise<void> {
  await client.query('DELETE FROM "BtfUploadChunk" WHERE digest = $1', [digest]);
  await client.query('UPDATE "BtfUpload" SET "receivedBytes" = 0, "totalBytes" = NULL WHERE digest = $1', [digest]);
}
