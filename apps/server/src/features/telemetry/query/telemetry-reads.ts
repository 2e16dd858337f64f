import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import pg from 'pg';
import { Config } from '../../../config/config.js';
import { DomainError } from '../../../platform/errors.js';
import { poolTransaction } from '../../../platform/sql/pool-transaction.js';

const STATEMENT_TIMEOUT_MS = 5000;
const QUERY_CANCELED = '57014';
const UNDEFINED_TABLE = '42P01';

/** Of one server: a dashboard's panels take turns, and whoever waits for long is told to come again. */
const CONNECTIONS_MAX = 4;
const TURN_WAIT_MS_MAX = 2000;

/**
 * Read-only SQL for the query API: all statements of one answer see the same data, and none runs longer than 5 s. Its
 * connections are its own: what devices say and are told must not wait for people's charts.
 */
@Injectable()
export class TelemetryReads implements OnModuleDestroy {
  private readonly pool: pg.Pool;

  constructor(config: Config) {
    this.pool = new pg.Pool({
      connectionString: config.databaseUrl,
      application_name: 'bpfleet-reads',
      max: CONNECTIONS_MAX,
      connectionTimeoutMillis: TURN_WAIT_MS_MAX,
    });
    // An idle connection that Postgres cuts must not end the process; the next query takes a new one.
    this.pool.on('error', (error) => new Logger('TelemetryReads').warn(`idle connection lost: ${error.message}`));
  }

  async onModuleDestroy(): Promise<void> {
    await this.pool.end();
  }

  /** @throws DomainError 422 QUERY_TOO_LARGE when a statement took too long, 503 TELEMETRY_BUSY when no turn came */
  async read<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    try {
      return await poolTransaction(this.pool, async (client) => {
        await client.query(
          `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`,
        );
        return work(client);
      });
    } catch (error) {
      const { code } = error as pg.DatabaseError;
      if (code === QUERY_CANCELED) {
        throw queryTooLarge('this would take more than 5 s; ask for a shorter time');
      }
      if (isOutOfTurns(error, this.pool)) {
        throw new DomainError(
          503,
          'TELEMETRY_BUSY',
          `${CONNECTIONS_MAX} questions about telemetry are being answered already; ask again in a moment, or for a shorter time`,
        );
      }
      if (code === UNDEFINED_TABLE) {
        throw new DomainError(503, 'TELEMETRY_NOT_READY', 'the telemetry schema is still being made; try again');
      }
      throw error;
    }
  }
}

/** The pool says the same when PostgreSQL does not answer; then there are connections to be had. */
function isOutOfTurns(error: unknown, pool: pg.Pool): boolean {
  return (
    /^timeout exceeded when trying to connect/.test((error as Error).message) && pool.totalCount >= CONNECTIONS_MAX
  );
}

export function queryTooLarge(message: string): DomainError {
  return new DomainError(422, 'QUERY_TOO_LARGE', message);
}
