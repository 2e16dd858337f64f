import { Injectable } from '@nestjs/common';
import {
  BTF_BYTES_MAX,
  LAB_CONFIG_BYTES_MAX,
  LAB_IMAGE_BYTES_MAX,
  LAB_MODULE_BYTES_MAX,
  type LabArch,
  type LabFileKind,
} from '@bpfleet/api';
import { digestOf } from '@bpfleet/trust';
import type pg from 'pg';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { Clock } from '../../../platform/clock.js';
import { DomainError } from '../../../platform/errors.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { KernelBtfError, readKernelBtf } from '../../../verify/index.js';
import { AuditLog } from '../../audit/log/index.js';
import { KernelBtfs } from '../../kernels/index.js';
import { assertKernelImage } from './kernel-image.js';
import { assertKernelConfig, assertKernelModule } from './kernel-parts.js';

/** What is kept as a blob of a kind of its own; types are kept with all others. */
const BLOB_KINDS = { image: 'lab-image', config: 'lab-config', module: 'lab-module' } as const;
const WORDS: Readonly<Record<LabFileKind, string>> = {
  image: 'kernel image',
  btf: 'BTF',
  config: 'kernel configuration',
  module: 'kernel module',
};
/** A file that no kernel names was uploaded by somebody who then did not go on. */
const UNUSED_MS = 24 * 3_600_000;

export const LAB_FILE_BYTES_MAX: Readonly<Record<LabFileKind, number>> = {
  image: LAB_IMAGE_BYTES_MAX,
  btf: BTF_BYTES_MAX,
  config: LAB_CONFIG_BYTES_MAX,
  module: LAB_MODULE_BYTES_MAX,
};

/** Whether a kernel of the lab names a blob: by its image, its configuration or one of its modules. */
const NAMED = `EXISTS (SELECT FROM "LabKernel" k WHERE k."imageDigest" = b.digest OR k."configDigest" = b.digest
  OR k.modules @> jsonb_build_array(jsonb_build_object('digest', b.digest)))`;

/** The files that kernels of somebody's own are made of. */
@Injectable()
export class LabFiles {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly blobs: BlobStore,
    private readonly btfs: KernelBtfs,
    private readonly audit: AuditLog,
  ) {}

  /** Keeps a file that a kernel is going to be made of. Throws LAB_IMAGE, LAB_MODULE, LAB_CONFIG, BTF_INVALID, BTF_ARCH (422). */
  async add(actor: string, kind: LabFileKind, arch: LabArch, bytes: Buffer): Promise<string> {
    if (kind === 'btf') assertBtf(bytes, arch);
    else if (kind === 'image') assertKernelImage(bytes, arch);
    else if (kind === 'module') assertKernelModule(bytes, arch);
    else assertKernelConfig(bytes);
    await this.forgetUnused();
    return this.sql.withTransaction(async (client) => {
      const digest = await this.keep(client, actor, { kind, arch, bytes });
      const details = { kind, arch, bytes: bytes.length };
      await this.audit.record(client, { actor, action: 'lab.file', subject: digest, details });
      return digest;
    });
  }

  /** Throws LAB_FILE_UNKNOWN (422) for one that was not uploaded as what it is to be used for. */
  async assertThere(kind: LabFileKind, digests: readonly string[]): Promise<void> {
    const wanted = [...new Set(digests)];
    const there = kind === 'btf' ? await this.btfsOf(wanted) : await this.blobsOf(BLOB_KINDS[kind], wanted);
    const gone = wanted.find((digest) => !there.has(digest));
    if (gone === undefined) return;
    throw new DomainError(422, 'LAB_FILE_UNKNOWN', `there is no ${WORDS[kind]} ${gone}: upload it first`);
  }

  /** Removes those of these blobs that no kernel names any more. */
  async forget(digests: readonly string[]): Promise<void> {
    await this.sql.pool.query(`DELETE FROM "Blob" b WHERE b.digest = ANY($1) AND b.kind = ANY($2) AND NOT ${NAMED}`, [
      digests,
      Object.values(BLOB_KINDS),
    ]);
  }

  private async forgetUnused(): Promise<void> {
    await this.sql.pool.query(`DELETE FROM "Blob" b WHERE b.kind = ANY($1) AND b."createdAt" < $2 AND NOT ${NAMED}`, [
      Object.values(BLOB_KINDS),
      new Date(this.clock.now().getTime() - UNUSED_MS),
    ]);
  }

  private async keep(client: pg.PoolClient, actor: string, { kind, arch, bytes }: LabFile): Promise<string> {
    if (kind !== 'btf') return this.blobs.put(BLOB_KINDS[kind], bytes, client);
    const [digest, pointerBits] = [digestOf(bytes), POINTER_BITS[arch]];
    await this.btfs.add({ digest, bytes, pointerBits, source: 'admin', addedBy: actor }, client);
    return digest;
  }

  private async btfsOf(digests: readonly string[]): Promise<Set<string>> {
    const there = new Set<string>();
    for (const digest of digests) if (await this.btfs.has(digest)) there.add(digest);
    return there;
  }

  private async blobsOf(kind: string, digests: readonly string[]): Promise<Set<string>> {
    const { rows } = await this.sql.pool.query<{ digest: string }>(
      'SELECT digest FROM "Blob" WHERE digest = ANY($1) AND kind = $2',
      [digests, kind],
    );
    return new Set(rows.map(({ digest }) => digest));
  }
}

interface LabFile {
  readonly kind: LabFileKind;
  readonly arch: LabArch;
  readonly bytes: Buffer;
}

const POINTER_BITS: Readonly<Record<LabArch, 32 | 64>> = { arm64: 64, armv7: 32 };

function assertBtf(bytes: Buffer, arch: LabArch): void {
  const pointerBits = pointerBitsOf(bytes);
  if (pointerBits === POINTER_BITS[arch]) return;
  throw new DomainError(422, 'BTF_ARCH', `the kernel is ${arch}, and this BTF is of a ${pointerBits}-bit kernel`);
}

function pointerBitsOf(bytes: Buffer): 32 | 64 {
  try {
    return readKernelBtf(bytes).pointerBits;
  } catch (error) {
    if (!(error instanceof KernelBtfError)) throw error;
    throw new DomainError(422, 'BTF_INVALID', `this is not the BTF of a kernel: ${error.message}`);
  }
}
