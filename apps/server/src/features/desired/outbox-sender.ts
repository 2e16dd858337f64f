import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { MqttLink } from '../../platform/mqtt/mqtt-link.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { Pump } from './pump.js';
import { WorkSignal } from './queue/index.js';

const BATCH_ROWS_MAX = 50;
const INTERVAL_MS = 5_000;

interface OutboxRow {
  id: string;
  topic: string;
  payload: Buffer;
}

/**
 * Sends what transactions left behind, in order. A row is deleted once the broker has taken the message; what a crash
 * leaves is sent again, which a device answers by ignoring a generation it has. Replicas share by SKIP LOCKED.
 */
@Injectable()
export class OutboxSender implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly pump = new Pump(() => this.sendSome(), INTERVAL_MS, new Logger('OutboxSender'));

  constructor(
    private readonly sql: ControlSql,
    private readonly link: MqttLink,
    private readonly signal: WorkSignal,
  ) {}

  onApplicationBootstrap(): void {
    this.signal.on('outbox', () => this.pump.wake());
    this.link.onConnect(() => this.pump.wake());
    this.pump.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.pump.stop();
  }

  /** One batch; true when there may be more. Nothing is taken while the broker is away. */
  async sendSome(): Promise<boolean> {
    if (!this.link.connected) return false;
    return this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<OutboxRow>(
        'SELECT id, topic, payload FROM "Outbox" ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED',
        [BATCH_ROWS_MAX],
      );
      // All are handed over before any answer is awaited: one connection keeps their order.
      const sent = await Promise.allSettled(rows.map(({ topic, payload }) => this.link.publish(topic, payload, 1)));
      const taken = rows.filter((_, index) => sent[index]?.status === 'fulfilled').map(({ id }) => id);
      if (taken.length > 0) await client.query('DELETE FROM "Outbox" WHERE id = ANY($1)', [taken]);
      return rows.length === BATCH_ROWS_MAX && taken.length === rows.length;
    });
  }
}
