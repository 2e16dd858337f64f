import { Injectable } from '@nestjs/common';
import type { ReleaseOnKernel } from '@bpfleet/api';
import { notFound } from '../../platform/errors.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { KernelVerdicts, type KernelVerdict } from '../kernels/index.js';
import { DEFAULT_GLOBALS } from './params/index.js';

const LISTED_MAX = 1_000;

interface GroupRow {
  group: ReleaseOnKernel['group'];
  devices: string;
  lab: string[];
  job: ReleaseOnKernel['job'];
}

/** Every kernel group that devices or the lab run, with what is known of one release on it, with its default parameters. */
@Injectable()
export class ReleaseKernels {
  constructor(
    private readonly sql: ControlSql,
    private readonly verdicts: KernelVerdicts,
  ) {}

  /** Those with most devices first. Throws RELEASE_UNKNOWN (404). */
  async of(releaseId: string): Promise<ReleaseOnKernel[]> {
    const known = await this.sql.pool.query('SELECT FROM "Release" WHERE id = $1', [releaseId]);
    if (known.rowCount !== 1) throw notFound('release', releaseId);
    const [{ rows }, verdicts] = await Promise.all([
      this.sql.pool.query<GroupRow>(
        `SELECT * FROM (SELECT json_build_object('id', g.id, 'kernelRelease', g."kernelRelease", 'kernelArch', g."kernelArch",
             'kernelBuildId', g."kernelBuildId", 'userBits', g."userBits", 'jit', g.jit, 'lsm', g.lsm, 'pageBytes', g."pageBytes") AS "group",
           (SELECT count(*) FROM "Device" d WHERE d."kernelGroupId" = g.id AND d.status = 'active') AS devices,
           ARRAY(SELECT k.name FROM "LabKernel" k WHERE k."kernelGroupId" = g.id ORDER BY k.name) AS lab,
           (SELECT json_build_object('state', j.state, 'error', j.error) FROM "LabJob" j JOIN "LabKernel" k ON k.id = j."labKernelId"
             WHERE k."kernelGroupId" = g.id AND j."releaseId" = $1 AND j.globals = '' AND j.state <> 'done' ORDER BY j.id LIMIT 1) AS job,
           g."kernelRelease" AS sort
         FROM "KernelGroup" g) listed
         WHERE devices > 0 OR cardinality(lab) > 0 ORDER BY devices DESC, sort, "group"->>'id' LIMIT $2`,
        [releaseId, LISTED_MAX],
      ),
      this.verdicts.newestOf(releaseId),
    ]);
    return rows.map(({ group, devices, lab, job }) => {
      const mine = verdicts.filter(
        ({ kernelGroupId, globals }) => kernelGroupId === group.id && globals === DEFAULT_GLOBALS,
      );
      const resolved = mine.find(({ stage }) => stage === 'resolve');
      const proven = mine.find(({ stage }) => stage === 'prove');
      return {
        group,
        devices: Number(devices),
        lab,
        resolved: resolved ? wordOf(resolved) : null,
        proven: proven ? { ...wordOf(proven), ...measured(proven) } : null,
        job,
      };
    });
  }
}

function wordOf({ verdict, reasons, at }: KernelVerdict) {
  const told = reasons.map(({ kind, sentence, program }) => ({ kind, sentence, ...(program ? { program } : {}) }));
  return { verdict, reasons: told, at: at.toISOString() };
}

/** Rows of another version of this server may lack some of it. */
function measured({ facts }: KernelVerdict) {
  const number = (name: string): number | null => {
    const value = facts[name];
    return typeof value === 'number' ? value : null;
  };
  const programs = (facts['programs'] ?? []) as NonNullable<ReleaseOnKernel['proven']>['programs'];
  return {
    loadMs: number('loadMs'),
    instructions: number('instructions'),
    stackDepthBytes: number('stackDepthBytes'),
    jitedBytes: number('jitedBytes'),
    programs,
  };
}
