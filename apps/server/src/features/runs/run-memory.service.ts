import { Injectable } from '@nestjs/common';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { attachedStates, finalStates } from './run-machine.js';

/** What the maps of a device's runs take. */
export interface MapMemoryOfRuns {
  readonly runs: number;
  readonly bytes: number;
  /** Of those that are in its kernel, as the device itself counted it. */
  readonly attachedBytes: number;
}

interface Row {
  deviceId: string;
  runs: number;
  bytes: string;
  attachedBytes: string;
}

/** Adds up what devices have, and are to have. */
@Injectable()
export class RunMemory {
  constructor(private readonly sql: ControlSql) {}

  /**
   * Of what each of the devices is to run and is not over, but for assigned runs of one probe, which a new assignment of it
   * would replace. What a device has not counted yet counts as its release does (lint's machine). Devices without runs are absent.
   */
  async beside(probe: string, deviceIds: readonly string[]): Promise<Map<string, MapMemoryOfRuns>> {
    const { rows } = await this.sql.pool.query<Row>(
      `SELECT r."deviceId", count(*)::int AS runs,
         sum(COALESCE((r.stats->>'mapBytes')::numeric, l."mapBytes")) AS bytes,
         COALESCE(sum((r.stats->>'mapBytes')::numeric) FILTER (WHERE r.state = ANY($4)), 0) AS "attachedBytes"
       FROM "Run" r JOIN "Release" l ON l.id = r."releaseId"
       WHERE r."deviceId" = ANY($1) AND r.wanted AND r.state <> ALL($3) AND NOT (r.kind = 'assignment' AND l.probe = $2)
       GROUP BY r."deviceId"`,
      [deviceIds, probe, finalStates, attachedStates],
    );
    return new Map(
      rows.map(({ deviceId, runs, bytes, attachedBytes }) => [
        deviceId,
        { runs, bytes: Number(bytes), attachedBytes: Number(attachedBytes) },
      ]),
    );
  }
}
