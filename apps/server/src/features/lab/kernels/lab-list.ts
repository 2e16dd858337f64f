import { Injectable } from '@nestjs/common';
import type { Lab, LabKernel } from '@bpfleet/api';
import { Clock } from '../../../platform/clock.js';
import { notFound } from '../../../platform/errors.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { archOfTarget, suiteOf, userLandOf } from './lab-target.js';

const HOST_LATELY_MS = 60_000;

interface KernelRow {
  id: string;
  name: string;
  target: string;
  imageDigest: string | null;
  kernelArgs: string[];
  jit: number | null;
  state: LabKernel['state'];
  reason: string | null;
  console: string | null;
  group: LabKernel['group'];
  devices: string;
  jobs: Partial<Record<keyof LabKernel['jobs'], number>> | null;
  proving: string | null;
  bootMs: number | null;
  seenAt: Date | null;
  createdBy: string;
  createdAt: Date;
}

interface HostRow {
  holder: string;
  machines: number;
  reason: string | null;
  seenAt: Date;
}

const KERNELS = `
  SELECT k.id, k.name, k.target, k."imageDigest", k."kernelArgs", k.jit, k.state, k.reason, k.console, k."bootMs", k."seenAt",
    k."createdBy", k."createdAt",
    CASE WHEN g.id IS NOT NULL THEN json_build_object('id', g.id, 'kernelRelease', g."kernelRelease", 'kernelArch', g."kernelArch",
      'kernelBuildId', g."kernelBuildId", 'userBits', g."userBits", 'jit', g.jit, 'lsm', g.lsm, 'pageBytes', g."pageBytes",
      'btf', g."btfDigest" IS NOT NULL) END AS "group",
    (SELECT count(*) FROM "Device" d WHERE d."kernelGroupId" = g.id AND d.status = 'active') AS devices,
    (SELECT json_object_agg(state, n) FROM (SELECT j.state, count(*) AS n FROM "LabJob" j WHERE j."labKernelId" = k.id GROUP BY 1) c) AS jobs,
    (SELECT r.probe || '@' || r.version FROM "LabJob" j JOIN "Release" r ON r.id = j."releaseId"
      WHERE j."labKernelId" = k.id AND j.state = 'proving' ORDER BY j.id LIMIT 1) AS proving
  FROM "LabKernel" k LEFT JOIN "KernelGroup" g ON g.id = k."kernelGroupId"`;

/** Reads what the lab has, and how far it has come. */
@Injectable()
export class LabList {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
  ) {}

  async lab(): Promise<Lab> {
    const [kernels, hosts] = await Promise.all([
      this.sql.pool.query<KernelRow>(`${KERNELS} ORDER BY k.name`),
      this.sql.pool.query<HostRow>('SELECT * FROM "LabHost" WHERE "seenAt" > $1 ORDER BY holder LIMIT 100', [
        new Date(this.clock.now().getTime() - HOST_LATELY_MS),
      ]),
    ]);
    return {
      items: kernels.rows.map(kernelView),
      hosts: hosts.rows.map(({ holder, machines, reason, seenAt }) => {
        return { name: holder, machines, reason, seenAt: seenAt.toISOString() };
      }),
    };
  }

  /** Throws LAB_KERNEL_UNKNOWN (404). */
  async kernel(id: string): Promise<LabKernel> {
    const { rows } = await this.sql.pool.query<KernelRow>(`${KERNELS} WHERE k.id = $1`, [id]);
    if (!rows[0]) throw notFound('lab kernel', id);
    return kernelView(rows[0]);
  }
}

function kernelView(row: KernelRow): LabKernel {
  const { target, imageDigest, jobs, devices, seenAt, createdAt, ...told } = row;
  const none = { waiting: 0, proving: 0, done: 0, failed: 0 };
  return {
    ...told,
    suite: imageDigest === null ? suiteOf(target) : null,
    image: imageDigest,
    arch: archOfTarget(target),
    userLand: userLandOf(target),
    devices: Number(devices),
    jobs: { ...none, ...jobs },
    seenAt: seenAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
  };
}
