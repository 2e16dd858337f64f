import { Injectable } from '@nestjs/common';
import type { Reported } from '@bpfleet/wire';
import { Clock } from '../../platform/clock.js';
import { ControlSql } from '../../platform/sql/control-sql.js';

/** What a device says of itself, beside its runs. */
@Injectable()
export class ReportedState {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
  ) {}

  /** Returns the generation that the device should have, and its document: the caller sends it again when it is behind. */
  async apply(
    deviceId: string,
    reported: Pick<Reported, 'generation' | 'refused' | 'agent'>,
  ): Promise<{ generation: number; envelope: Buffer | null } | undefined> {
    const { refused } = reported;
    const { rows } = await this.sql.pool.query<{ generation: number; envelope: Buffer | null }>(
      `UPDATE "Device" SET "reportedGeneration" = $2, "reportedAt" = $3, refused = $4, agent = $5 WHERE id = $1
       RETURNING "desiredGeneration" AS generation, "desiredEnvelope" AS envelope`,
      [
        deviceId,
        reported.generation,
        this.clock.now(),
        refused ? JSON.stringify({ code: refused.code, message: refused.message }) : null,
        JSON.stringify(reported.agent),
      ],
    );
    return rows[0];
  }
}
