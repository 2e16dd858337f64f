import { Injectable } from '@nestjs/common';
import type { KernelFeatures } from '@bpfleet/probe';
import { ControlSql } from '../../../platform/sql/control-sql.js';

/** What the lab's kernels can do, as they were asked in their VMs. */
@Injectable()
export class LabFeatures {
  constructor(private readonly sql: ControlSql) {}

  /** By kernel group; groups of which no kernel of the lab was asked are absent. */
  async ofGroups(groupIds: readonly string[]): Promise<Map<string, KernelFeatures>> {
    const { rows } = await this.sql.pool.query<{ group: string } & KernelFeatures>(
      `SELECT DISTINCT ON ("kernelGroupId") "kernelGroupId" AS "group", features, lacks FROM "LabKernel"
       WHERE "kernelGroupId" = ANY($1) AND cardinality(features) > 0
       ORDER BY "kernelGroupId", "seenAt" DESC NULLS LAST, id`,
      [groupIds],
    );
    return new Map(rows.map(({ group, features, lacks }) => [group, { features, lacks }]));
  }
}
