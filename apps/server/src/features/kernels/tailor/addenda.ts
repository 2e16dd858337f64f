import { Injectable } from '@nestjs/common';
import { readObject, tailorBtf } from '@bpfleet/btf';
import { digestOf, signDocument } from '@bpfleet/trust';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { Clock } from '../../../platform/clock.js';
import { ServerKeys } from '../../../platform/keys/server-keys.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { KernelBtfs } from '../btf/kernel-btfs.js';

/** One object of one release, for one kernel build. */
export interface AddendumUse {
  readonly releaseId: string;
  /** Of the signed release. */
  readonly releaseDigest: string;
  readonly objectDigest: string;
  readonly buildId: string;
  /** The whole BTF of that build. */
  readonly source: string;
}

/** BTF of the few types that a probe needs, signed for the kernel that it is for (DESIGN §5). */
@Injectable()
export class Addenda {
  constructor(
    private readonly sql: ControlSql,
    private readonly blobs: BlobStore,
    private readonly keys: ServerKeys,
    private readonly clock: Clock,
    private readonly btfs: KernelBtfs,
  ) {}

  /** The key by which addenda are signed now; those of another are made anew. */
  get keyid(): string {
    return this.keys.btf.keyid;
  }

  /** Makes it, unless it is there. @throws BtfError when the object cannot be relocated for that kernel, or is none */
  async make(use: AddendumUse): Promise<void> {
    if (await this.exists(use)) return;
    const [types, object] = await Promise.all([this.btfs.types(use.source), this.blobs.get(use.objectDigest)]);
    if (!types || !object) throw new Error(`object ${use.objectDigest} or BTF ${use.source} is not in the store`);
    const btf = Buffer.from(tailorBtf(readObject(object), types.btf));
    const btfDigest = await this.blobs.put('tailored-btf', btf);
    const envelope = this.sign(use, { digest: btfDigest, bytes: btf.length });
    const digest = digestOf(envelope);
    await this.blobs.put('addendum', envelope);
    await this.sql.pool.query(
      `INSERT INTO "BtfAddendum" (digest, "releaseId", "objectDigest", "buildId", "sourceDigest", keyid, "btfDigest", bytes, "createdAt")
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
      [
        digest,
        use.releaseId,
        use.objectDigest,
        use.buildId,
        use.source,
        this.keyid,
        btfDigest,
        btf.length,
        this.clock.now(),
      ],
    );
  }

  /** The signed document with this digest. */
  async envelope(digest: string): Promise<Buffer | undefined> {
    const { rowCount } = await this.sql.pool.query('SELECT FROM "BtfAddendum" WHERE digest = $1', [digest]);
    return rowCount === 1 ? this.blobs.get(digest) : undefined;
  }

  /** The tailored BTF that the signed document with this digest is about. */
  async btfOf(digest: string): Promise<Buffer | undefined> {
    const { rows } = await this.sql.pool.query<{ btfDigest: string }>(
      'SELECT "btfDigest" FROM "BtfAddendum" WHERE digest = $1',
      [digest],
    );
    return rows[0] && this.blobs.get(rows[0].btfDigest);
  }

  /** Whether some addendum is about the BTF with this digest: devices may fetch these. */
  async isTailored(digest: string): Promise<boolean> {
    const { rowCount } = await this.sql.pool.query('SELECT FROM "BtfAddendum" WHERE "btfDigest" = $1 LIMIT 1', [
      digest,
    ]);
    return rowCount === 1;
  }

  /** Whether it is made and signed, by the key of now. */
  async exists({ releaseId, objectDigest, buildId, source }: Omit<AddendumUse, 'releaseDigest'>): Promise<boolean> {
    const { rowCount } = await this.sql.pool.query(
      `SELECT FROM "BtfAddendum" WHERE "releaseId" = $1 AND "objectDigest" = $2 AND "buildId" = $3
         AND "sourceDigest" = $4 AND keyid = $5`,
      [releaseId, objectDigest, buildId, source, this.keyid],
    );
    return rowCount === 1;
  }

  private sign(use: AddendumUse, btf: { digest: string; bytes: number }): Buffer {
    const { releaseDigest: release, objectDigest: object, buildId } = use;
    const createdAt = this.clock.now().toISOString();
    return signDocument('addendum', { type: 'addendum', release, object, buildId, btf, createdAt }, [this.keys.btf]);
  }
}
