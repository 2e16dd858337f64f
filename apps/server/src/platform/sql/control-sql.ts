import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import pg from 'pg';
import { Config } from '../../config/config.js';
import { poolTransaction } from './pool-transaction.js';

/** How long a question waits for a connection: behind a database that is frozen, questions must not pile up without end. */
export const CONNECTION_WAIT_MS_MAX = 10_000;

/** Plain SQL on the control plane, for what Prisma has no words for: row locks, SKIP LOCKED, NOTIFY. */
@Injectable()
export class ControlSql implements OnModuleDestroy {
  readonly pool: pg.Pool;

  constructor(config: Config) {
    this.pool = new pg.Pool({
      connectionString: config.databaseUrl,
      max: 8,
      connectionTimeoutMillis: CONNECTION_WAIT_MS_MAX,
    });
    // An idle connection that Postgres cuts must not end the process; the next query takes a new one.
    this.pool.on('error', (error) => new Logger('ControlSql').warn(`idle connection lost: ${error.message}`));
  }

  /** Commits what `fn` did, or rolls it back when it throws. */
  withTransaction<T>(fn: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return poolTransaction(this.pool, fn);
  }

  async onModuleDestroy(): Promise<void> {
    await this.pool.end();
  }
}
