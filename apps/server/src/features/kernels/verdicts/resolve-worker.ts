import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { Pump } from '../../desired/queue/index.js';
import { LIVE_RELEASES, ReleaseCatalogue } from '../../releases/catalogue/index.js';
import { ReleaseResolver, type ResolvedKernel } from './release-resolver.js';
import { VERDICT_VERSIONS } from './verdict-versions.js';

const INTERVAL_MS = 15_000;

interface Due extends ResolvedKernel {
  releaseId: string;
  source: string;
}

/**
 * Resolves what may be offered next (the newest release of each probe, and what is assigned) against every kernel of the fleet
 * and of the lab whose types are known, one at a time: whoever asks what a rollout would do finds the answer there.
 */
@Injectable()
export class ResolveWorker implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly pump = new Pump(() => this.resolveOne(), INTERVAL_MS, new Logger('ResolveWorker'));

  constructor(
    private readonly sql: ControlSql,
    private readonly releases: ReleaseCatalogue,
    private readonly resolver: ReleaseResolver,
  ) {}

  onApplicationBootstrap(): void {
    this.pump.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.pump.stop();
  }

  /** True when there may be more. */
  async resolveOne(): Promise<boolean> {
    const { rows } = await this.sql.pool.query<Due>(
      `SELECT r.id AS "releaseId", g.id, g."kernelArch", g."btfDigest", s.source
       FROM (${LIVE_RELEASES}) r
       CROSS JOIN "KernelGroup" g
       CROSS JOIN LATERAL (SELECT digest AS source FROM "KernelBtf" WHERE digest = g."btfDigest"
         UNION ALL SELECT "btfDigest" FROM "KernelBuild" WHERE g."btfDigest" IS NULL AND "buildId" = g."kernelBuildId") s
       WHERE (EXISTS (SELECT FROM "Device" d WHERE d."kernelGroupId" = g.id AND d.status = 'active')
           OR EXISTS (SELECT FROM "LabKernel" l WHERE l."kernelGroupId" = g.id))
         AND s.source IS DISTINCT FROM (SELECT v."btfDigest" FROM "KernelVerdict" v
           WHERE v."releaseId" = r.id AND v."kernelGroupId" = g.id AND v.stage = 'resolve' AND v.version = $1
           ORDER BY v.id DESC LIMIT 1)
       ORDER BY r.id, g.id LIMIT 1`,
      [VERDICT_VERSIONS.resolve],
    );
    const due = rows[0];
    const release = due && (await this.releases.find(due.releaseId));
    if (!due || !release) return false;
    await this.resolver.resolve(release, due, due.source);
    return true;
  }
}
