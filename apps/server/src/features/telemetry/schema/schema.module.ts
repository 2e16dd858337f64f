import { Injectable, Logger, Module, type OnModuleInit } from '@nestjs/common';
import type pg from 'pg';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { Clock } from '../../../platform/clock.js';
import { Config } from '../../../config/config.js';
import { EventTables } from './event-tables.js';
import { migrateTelemetry, withSchemaLock } from './migrate.js';
import { assertRetentionFits, makePartitions, partitionedTables } from './partitions.js';
import { grantRoles } from './roles.js';
import { TelemetryError } from './telemetry-error.js';

/** Brings the schema up to date before anything else of this server may ask for it. */
@Injectable()
export class TelemetrySchema implements OnModuleInit {
  private readonly log = new Logger('TelemetrySchema');

  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  async onModuleInit(): Promise<void> {
    const client = await this.sql.pool.connect();
    try {
      const applied = await migrateTelemetry(client);
      if (applied.length > 0) this.log.log(`applied ${applied.join(', ')}`);
      const withoutRoles = await withSchemaLock(client, async () => {
        const tables = await partitionedTables(client);
        assertRetentionFits(this.config.retentionDays, tables.length);
        for (const table of tables) await this.makeAhead(client, table);
        return grantRoles(client);
      });
      if (withoutRoles !== undefined) {
        this.log.warn(`ingest works with the owner's rights, since its role cannot be made: ${withoutRoles}`);
      }
    } finally {
      client.release();
    }
  }

  /** A store that is full, or busy, stops no server: maintenance makes room first, and then what is missing. */
  private async makeAhead(client: pg.ClientBase, table: string): Promise<void> {
    try {
      await makePartitions(client, table, this.clock.now(), this.config.retentionDays);
    } catch (error) {
      if (!(error instanceof TelemetryError)) throw error;
      this.log.warn(error.message);
    }
  }
}

@Module({ providers: [TelemetrySchema, EventTables], exports: [EventTables, TelemetrySchema] })
export class TelemetrySchemaModule {}
