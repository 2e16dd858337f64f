import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { Clock } from '../../../platform/clock.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { readKernelBtf, type KernelTypes } from '../../../verify/index.js';

/** What devices gave and nobody uses any more goes first; beyond this nothing more is taken from them. */
export const DEVICE_BTFS_MAX = 200;
const PARSED_MAX = 3;
/** Of a row `b`. */
const UNUSED = `NOT EXISTS (SELECT FROM "KernelBuild" k WHERE k."btfDigest" = b.digest)
  AND NOT EXISTS (SELECT FROM "KernelGroup" g JOIN "Device" d ON d."kernelGroupId" = g.id WHERE g."btfDigest" = b.digest)`;

export interface NewKernelBtf {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly pointerBits: 32 | 64;
  readonly source: 'device' | 'admin';
  readonly addedBy: string;
}

/** The types of the fleet's kernels, by digest. */
@Injectable()
export class KernelBtfs {
  /** Newest last: thousands of devices share a few kernels. */
  private readonly parsed = new Map<string, KernelTypes>();

  constructor(
    private readonly sql: ControlSql,
    private readonly blobs: BlobStore,
    private readonly clock: Clock,
  ) {}

  async has(digest: string): Promise<boolean> {
    const { rowCount } = await this.sql.pool.query('SELECT FROM "KernelBtf" WHERE digest = $1', [digest]);
    return rowCount === 1;
  }

  /** Undefined when it is not known, or its blob is gone. @throws KernelBtfError when a newer server took what this one cannot read */
  async types(digest: string): Promise<KernelTypes | undefined> {
    const known = this.parsed.get(digest);
    const types = known ?? (await this.read(digest));
    if (!types) return undefined;
    this.parsed.delete(digest);
    this.parsed.set(digest, types);
    const oldest = this.parsed.keys().next();
    if (this.parsed.size > PARSED_MAX && !oldest.done) this.parsed.delete(oldest.value);
    return types;
  }

  /**
   * Keeps a BTF that was read already. What an administrator adds stays one's word even where a device gave the same bytes
   * before. False when devices have given as many as are kept, and all of them are in use. With `client`, in its transaction.
   */
  async add(btf: NewKernelBtf, client?: pg.PoolClient): Promise<boolean> {
    const { digest, bytes, pointerBits, source, addedBy } = btf;
    if (source === 'device' && !(await this.makeRoom())) return false;
    await this.blobs.put('btf', bytes, client);
    await (client ?? this.sql.pool).query(
      `INSERT INTO "KernelBtf" (digest, bytes, "pointerBits", source, "addedBy", "createdAt")
       VALUES ($1, $2, $3, $4::"BtfSource", $5, $6)
       ON CONFLICT (digest) DO UPDATE SET source = EXCLUDED.source, "addedBy" = EXCLUDED."addedBy"
         WHERE "KernelBtf".source = 'device' AND EXCLUDED.source = 'admin'`,
      [digest, bytes.length, pointerBits, source, addedBy, this.clock.now()],
    );
    return true;
  }

  /** How many more could be taken from devices now: what is free, and what nobody uses any more. */
  async roomForDevices(client: pg.ClientBase): Promise<number> {
    const { rows } = await client.query<{ taken: string }>(
      `SELECT count(*) AS taken FROM "KernelBtf" b WHERE b.source = 'device' AND NOT (${UNUSED})`,
    );
    return Math.max(0, DEVICE_BTFS_MAX - Number(rows[0]?.taken));
  }

  private async read(digest: string): Promise<KernelTypes | undefined> {
    if (!(await this.has(digest))) return undefined;
    const bytes = await this.blobs.get(digest);
    return bytes && readKernelBtf(bytes);
  }

  private async makeRoom(): Promise<boolean> {
    return this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<{ count: string }>(
        `SELECT count(*) FROM "KernelBtf" WHERE source = 'device'`,
      );
      if (Number(rows[0]?.count) < DEVICE_BTFS_MAX) return true;
      const gone = await client.query<{ digest: string }>(
        `DELETE FROM "KernelBtf" WHERE digest = (
           SELECT b.digest FROM "KernelBtf" b WHERE b.source = 'device' AND ${UNUSED}
           ORDER BY b."createdAt", b.digest LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING digest`,
      );
      const digest = gone.rows[0]?.digest;
      if (digest === undefined) return false;
      await client.query(`DELETE FROM "Blob" WHERE digest = $1 AND kind = 'btf'`, [digest]);
      return true;
    });
  }
}
