import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import type { kernelArchSchema } from '@bpfleet/api';
import { digestOf } from '@bpfleet/trust';
import type pg from 'pg';
import { Clock } from '../../../platform/clock.js';
import { DomainError } from '../../../platform/errors.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { KernelBtfError, readKernelBtf, type KernelTypes } from '../../../verify/index.js';
import { AuditLog } from '../../audit/log/index.js';
import { DesiredQueue } from '../../desired/queue/index.js';
import { KernelBtfs } from './kernel-btfs.js';

type KernelArch = z.infer<typeof kernelArchSchema>;

export interface NewBuild {
  readonly bytes: Buffer;
  readonly buildId: string;
  readonly release?: string | undefined;
  readonly arch?: KernelArch | undefined;
  readonly replace: boolean;
}

interface Told {
  readonly kernelRelease: string;
  readonly kernelArch: KernelArch;
}

/** Which BTF is that of a kernel build: an administrator's word, since a kernel without BTF cannot say it. */
@Injectable()
export class KernelBuilds {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly btfs: KernelBtfs,
    private readonly queue: DesiredQueue,
    private readonly audit: AuditLog,
  ) {}

  /** Returns the BTF's digest. Throws BTF_INVALID, BTF_ARCH (422), BTF_BUILD_TAKEN (409). */
  async add(actor: string, build: NewBuild): Promise<string> {
    const types = readGiven(build.bytes);
    const told = await this.told(build.buildId);
    const arch = archOf(build, types, told);
    const digest = digestOf(build.bytes);
    const { bytes, buildId } = build;
    await this.assertFree(build, digest);
    await this.sql.withTransaction(async (client) => {
      await this.btfs.add({ digest, bytes, pointerBits: types.pointerBits, source: 'admin', addedBy: actor }, client);
      await client.query(
        `INSERT INTO "KernelBuild" ("buildId", "btfDigest", "kernelRelease", "kernelArch", "addedBy", "createdAt")
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT ("buildId") DO UPDATE SET "btfDigest" = EXCLUDED."btfDigest",
           "kernelRelease" = COALESCE(EXCLUDED."kernelRelease", "KernelBuild"."kernelRelease"),
           "kernelArch" = EXCLUDED."kernelArch", "addedBy" = EXCLUDED."addedBy", "createdAt" = EXCLUDED."createdAt"`,
        [buildId, digest, build.release ?? told?.kernelRelease ?? null, arch, actor, this.clock.now()],
      );
      await this.queue.due(client, await devicesWithout(client, buildId));
      const details = { digest, bytes: bytes.length, release: build.release, arch: build.arch, replace: build.replace };
      await this.audit.record(client, { actor, action: 'btf.add', subject: buildId, details });
    });
    return digest;
  }

  /** What devices of this build say of themselves. */
  private async told(buildId: string): Promise<Told | undefined> {
    const { rows } = await this.sql.pool.query<Told>(
      `SELECT g."kernelRelease", g."kernelArch" FROM "KernelGroup" g JOIN "Device" d ON d."kernelGroupId" = g.id
       WHERE g."kernelBuildId" = $1 GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2 LIMIT 1`,
      [buildId],
    );
    return rows[0];
  }

  private async assertFree({ buildId, replace }: NewBuild, digest: string): Promise<void> {
    if (replace) return;
    const { rows } = await this.sql.pool.query<{ btfDigest: string; addedBy: string }>(
      'SELECT "btfDigest", "addedBy" FROM "KernelBuild" WHERE "buildId" = $1',
      [buildId],
    );
    const there = rows[0];
    if (!there || there.btfDigest === digest) return;
    throw new DomainError(
      409,
      'BTF_BUILD_TAKEN',
      `build ${buildId} has another BTF, added by ${there.addedBy}; a build has one, so add it with replace if that was wrong`,
      { digest: there.btfDigest },
    );
  }
}

function readGiven(bytes: Buffer): KernelTypes {
  try {
    return readKernelBtf(bytes);
  } catch (error) {
    if (!(error instanceof KernelBtfError)) throw error;
    throw new DomainError(422, 'BTF_INVALID', `this is not the BTF of a kernel: ${error.message}`);
  }
}

/** As given, else as devices of the build say, else the only one of 32 bits; and it must fit the types. */
function archOf(build: NewBuild, { pointerBits }: KernelTypes, told: Told | undefined): KernelArch {
  const arch = build.arch ?? told?.kernelArch ?? (pointerBits === 32 ? 'arm' : undefined);
  if (arch === undefined) {
    const message = 'no device of this build has told its architecture, and the BTF does not say it: name it (arch)';
    throw new DomainError(422, 'BTF_ARCH', message);
  }
  if ((arch === 'arm' ? 32 : 64) === pointerBits) return arch;
  throw new DomainError(
    422,
    'BTF_ARCH',
    `the kernel is said to be ${arch}, and this BTF is of a ${pointerBits}-bit kernel`,
  );
}

/** Devices for which this build's BTF changes something: those that show none of their own. */
async function devicesWithout(client: pg.PoolClient, buildId: string): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT d.id FROM "Device" d JOIN "KernelGroup" g ON g.id = d."kernelGroupId"
     WHERE g."kernelBuildId" = $1 AND g."btfDigest" IS NULL`,
    [buildId],
  );
  return rows.map(({ id }) => id);
}
