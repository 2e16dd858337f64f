import { Injectable, Logger, Module, type OnModuleInit } from '@nestjs/common';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { Clock } from '../../../platform/clock.js';
import { Config } from '../../../config/config.js';
import { EventTables } from './event-tables.js';
import { migrateTelemetry, withSchemaLock } from './migrate.js';
import { makePartitions, partitionedTables } from './partitions.js';
import { grantRoles } from './roles.js';

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
        for (const table of await partitionedTables(client)) {
          await makePartitions(client, table, this.clock.now(), this.config.retentionDays);
        }
        return grantRoles(client);
      });
      if (withoutRoles !== undefined) {
        this.log.warn(`ingest works with the owner's rights, since its role cannot be made: ${withoutRoles}`);
      }
    } finally {
      client.release();
    }
  }
}

@Module({ providers: [TelemetrySchema, EventTables], exports: [EventTables, TelemetrySchema] })
export class TelemetrySchemaModule {}
