import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { DomainError } from '../../../platform/errors.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';

const STATEMENT_TIMEOUT_MS = 5000;
const QUERY_CANCELED = '57014';
const UNDEFINED_TABLE = '42P01';

/** Read-only SQL for the query API: all statements of one answer see the same data, and none runs longer than 5 s. */
@Injectable()
export class TelemetryReads {
  constructor(private readonly sql: ControlSql) {}

  /** @throws DomainError 422 QUERY_TOO_LARGE when a statement took too long */
  async read<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    try {
      return await this.sql.withTransaction(async (client) => {
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
      if (code === UNDEFINED_TABLE) {
        throw new DomainError(503, 'TELEMETRY_NOT_READY', 'the telemetry schema is still being made; try again');
      }
      throw error;
    }
  }
}

export function queryTooLarge(message: string): DomainError {
  return new DomainError(422, 'QUERY_TOO_LARGE', message);
}
