import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type pg from 'pg';
import { Config } from '../../../config/config.js';
import { Clock } from '../../../platform/clock.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { forgetOld } from './forget-old.js';
import { withSchemaLock } from './migrate.js';
import { dropExpired, makePartitions, partitionedTables, type PartitionChanges } from './partitions.js';
import { grantRoles } from './roles.js';
import { lastRetentionTime, noteRound, retentionTime, StoreTime } from './upkeep.js';

const INTERVAL_MS = 60 * 60 * 1000;

/** Makes partitions ahead and lets old ones go, every hour. Any number of servers may run it: one works, the others wait. */
@Injectable()
export class TelemetryMaintenance implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly log = new Logger('TelemetryMaintenance');
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly config: Config,
    private readonly storeTime: StoreTime,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => void this.tick(), INTERVAL_MS);
    this.timer.unref();
    void this.tick();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  private async tick(): Promise<void> {
    try {
      const { made, dropped } = await this.runOnce();
      if (made.length + dropped.length > 0) {
        this.log.log(`partitions: made ${made.length}, dropped ${dropped.join(', ') || 'none'}`);
      }
    } catch (error) {
      this.log.warn(`partitions are left as they are until the next hour: ${(error as Error).message}`);
    }
  }

  /** One round, at the clock's time. @throws what the first failing table threw, after all others had their turn */
  async runOnce(): Promise<PartitionChanges> {
    const client = await this.sql.pool.connect();
    try {
      return await withSchemaLock(client, () => this.round(client));
    } finally {
      client.release();
    }
  }

  private async round(client: pg.ClientBase): Promise<PartitionChanges> {
    const now = this.clock.now();
    const days = this.config.retentionDays;
    const time = retentionTime(await lastRetentionTime(client), now, await this.storeTime.now(client));
    const problems = time.problem === undefined ? [] : [time.problem];
    let failure: unknown;
    const attempt = async (work: () => Promise<string[]>): Promise<string[]> => {
      try {
        return await work();
      } catch (error) {
        failure ??= error;
        problems.push((error as Error).message);
        return [];
      }
    };
    const tables = await partitionedTables(client);
    const dropped: string[] = [];
    const made: string[] = [];
    // All that may go goes first: in a store that is full, new partitions need its room.
    if (!time.halted) {
      for (const table of tables) dropped.push(...(await attempt(() => dropExpired(client, table, time.at, days))));
    }
    for (const table of tables) made.push(...(await attempt(() => makePartitions(client, table, now, days))));
    if (!time.halted) await forgetOld(client, time.at, days);
    await grantRoles(client);
    await noteRound(client, time.at, [...new Set(problems)]);
    if (time.problem !== undefined) this.log.warn(time.problem);
    if (failure !== undefined) throw failure;
    return { made, dropped };
  }
}
