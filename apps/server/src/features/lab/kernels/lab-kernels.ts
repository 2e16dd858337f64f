import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { LAB_KERNELS_MAX, type AddLabKernelRequest, type LabArch } from '@bpfleet/api';
import { digestOf } from '@bpfleet/trust';
import { Clock } from '../../../platform/clock.js';
import { DomainError, notFound } from '../../../platform/errors.js';
import { LiveBus } from '../../../platform/live/live-bus.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { AuditLog } from '../../audit/log/index.js';
import { VERDICT_VERSIONS } from '../../kernels/index.js';
import { LabFiles } from './lab-files.js';
import { targetOf, userLandTarget } from './lab-target.js';

type Wanted = Omit<AddLabKernelRequest, 'kernelArgs' | 'modules'> & {
  readonly kernelArgs: readonly string[];
  readonly modules?: readonly LabModule[];
};

/** A module of an uploaded kernel, which is a blob. */
export interface LabModule {
  readonly name: string;
  readonly digest: string;
}

const UNIQUE_VIOLATION = '23505';

interface Removed {
  readonly id: string;
  readonly name: string;
  readonly imageDigest: string | null;
  readonly configDigest: string | null;
  readonly modules: readonly LabModule[];
}

/** Which kernels the lab has: people add and remove them, and ask for proofs. */
@Injectable()
export class LabKernels {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly files: LabFiles,
    private readonly live: LiveBus,
    private readonly audit: AuditLog,
  ) {}

  /** Returns its id. Throws LAB_TARGET, LAB_FILE_UNKNOWN (422), LAB_NAME_TAKEN, LAB_FULL (409). */
  async add(actor: string, wanted: Wanted): Promise<string> {
    const { suite, image, btf, config, modules = [], arch, pageBytes = 4096, kernelArgs, jit } = wanted;
    const userLand = wanted.userLand ?? arch;
    const target =
      suite === undefined ? userLandTarget(arch, userLand) : targetOf({ suite, arch, userLand, pageBytes });
    await this.files.assertThere('image', image === undefined ? [] : [image]);
    await this.files.assertThere('btf', btf === undefined ? [] : [btf]);
    await this.files.assertThere('config', config === undefined ? [] : [config]);
    await this.files.assertThere(
      'module',
      modules.map(({ digest }) => digest),
    );
    const name = wanted.name ?? nameOf(wanted, userLand);
    const [id, now] = [randomUUID(), this.clock.now()];
    try {
      const added = await this.sql.withTransaction(async (client) => {
        const { rowCount } = await client.query(
          `INSERT INTO "LabKernel" (id, name, target, "imageDigest", "btfDigest", "kernelArgs", jit, "dueAt", "createdBy", "createdAt",
           "configDigest", modules)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $8, $11, $12 WHERE (SELECT count(*) FROM "LabKernel") < $10`,
          [
            ...[id, name, target, image ?? null, btf ?? null, kernelArgs, jit ?? null, now, actor, LAB_KERNELS_MAX],
            ...[config ?? null, JSON.stringify(modules)],
          ],
        );
        if (rowCount !== 1) return false;
        await this.live.publish({ type: 'lab', release: null }, client);
        await this.audit.record(client, { actor, action: 'lab.add', subject: name, details: { id, ...wanted } });
        return true;
      });
      if (added) return id;
    } catch (error) {
      if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error;
      const message = `the lab has a kernel named ${name}: give another name, or remove that one`;
      throw new DomainError(409, 'LAB_NAME_TAKEN', message);
    }
    throw new DomainError(409, 'LAB_FULL', `the lab has ${LAB_KERNELS_MAX} kernels, which is all it takes: remove one`);
  }

  /** Its VM is stopped by whoever runs it; what it said of releases stays. By name or id. Throws LAB_KERNEL_UNKNOWN (404). */
  async remove(actor: string, nameOrId: string): Promise<{ id: string; name: string }> {
    const gone = await this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<Removed>(
        'DELETE FROM "LabKernel" WHERE id = $1 OR name = $1 RETURNING id, name, "imageDigest", "configDigest", modules',
        [nameOrId],
      );
      const row = rows[0];
      if (!row) throw notFound('lab kernel', nameOrId);
      await this.audit.record(client, { actor, action: 'lab.remove', subject: row.name, details: { id: row.id } });
      return row;
    });
    const named = [gone.imageDigest, gone.configDigest, ...gone.modules.map(({ digest }) => digest)];
    await this.files.forget(named.filter((digest) => digest !== null));
    await this.live.publish({ type: 'lab', release: null });
    return { id: gone.id, name: gone.name };
  }

  /**
   * Queues a release anew on every kernel of the lab, or on one, with all parameters that it is proven with there; a kernel that
   * was given up is tried again. Returns on how many.
   * Throws RELEASE_UNKNOWN, LAB_KERNEL_UNKNOWN (404).
   */
  async prove(actor: string, releaseId: string, kernel: string | undefined): Promise<number> {
    const now = this.clock.now();
    return this.sql.withTransaction(async (client) => {
      const release = await client.query('SELECT FROM "Release" WHERE id = $1', [releaseId]);
      if (release.rowCount !== 1) throw notFound('release', releaseId);
      const chosen = await client.query<{ id: string }>(
        `UPDATE "LabKernel" SET "dueAt" = $2,
           state = CASE WHEN state = 'failed' THEN 'waiting' ELSE state END,
           failures = CASE WHEN state = 'failed' THEN 0 ELSE failures END
         WHERE $1::text IS NULL OR id = $1 OR name = $1 RETURNING id`,
        [kernel ?? null, now],
      );
      if (kernel !== undefined && chosen.rowCount === 0) throw notFound('lab kernel', kernel);
      const { rowCount } = await client.query(
        `INSERT INTO "LabJob" ("labKernelId", "releaseId", source, version, "queuedAt")
         SELECT k.id, $2, COALESCE(g."btfDigest", b."btfDigest"), $4, $3 FROM "LabKernel" k
         LEFT JOIN "KernelGroup" g ON g.id = k."kernelGroupId" LEFT JOIN "KernelBuild" b ON b."buildId" = g."kernelBuildId"
         WHERE k.id = ANY($1)
         ON CONFLICT ("labKernelId", "releaseId", globals) DO UPDATE
           SET state = 'waiting', source = EXCLUDED.source, version = GREATEST("LabJob".version, EXCLUDED.version),
             attempts = 0, alone = false, error = NULL, "queuedAt" = $3
           WHERE "LabJob".state <> 'proving'`,
        [chosen.rows.map(({ id }) => id), releaseId, now, VERDICT_VERSIONS.prove],
      );
      await client.query(
        `UPDATE "LabJob" SET state = 'waiting', attempts = 0, alone = false, error = NULL, "queuedAt" = $3
         WHERE "labKernelId" = ANY($1) AND "releaseId" = $2 AND globals <> '' AND state <> 'proving'`,
        [chosen.rows.map(({ id }) => id), releaseId, now],
      );
      // Null: a kernel that was given up is tried again as well.
      await this.live.publish({ type: 'lab', release: null }, client);
      const details = { kernel, queued: rowCount ?? 0 };
      await this.audit.record(client, { actor, action: 'lab.prove', subject: releaseId, details });
      return rowCount ?? 0;
    });
  }
}

/** `trixie-arm64`, `trixie-arm64-16k`, `bookworm-arm64-armv7-jit0`. */
function nameOf({ suite, arch, pageBytes = 4096, jit, kernelArgs }: Wanted, userLand: LabArch): string {
  const parts = [
    suite ?? 'own',
    arch,
    ...(pageBytes === 4096 ? [] : [`${pageBytes / 1024}k`]),
    ...(userLand === arch ? [] : [userLand]),
    ...(jit === undefined ? [] : [`jit${jit}`]),
  ];
  // Two that differ in their command line alone are told apart by it.
  const args = kernelArgs.length === 0 ? [] : [digestOf(Buffer.from(kernelArgs.join(' '))).slice(0, 6)];
  return [...parts, ...args].join('-');
}
