import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { Clock } from '../../../platform/clock.js';
import { notifyWork } from './work-signal.js';

/** Marks devices whose desired state may have to change, in the transaction that is the reason. */
@Injectable()
export class DesiredQueue {
  constructor(private readonly clock: Clock) {}

  /** Locks the rows in the order of their ids, so that two of these never wait for each other. */
  async due(client: pg.PoolClient, deviceIds: readonly string[]): Promise<void> {
    if (deviceIds.length === 0) return;
    await client.query(
      `UPDATE "Device" SET "desiredDueAt" = $2
       WHERE id IN (SELECT id FROM "Device" WHERE id = ANY($1) ORDER BY id FOR UPDATE)`,
      [deviceIds, this.clock.now()],
    );
    await notifyWork(client, 'desired');
  }
}
