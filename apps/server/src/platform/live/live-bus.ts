import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { liveEventSchema, type LiveEvent } from '@bpfleet/api';
import pg from 'pg';
import { Config } from '../../config/config.js';
import { ControlSql } from '../sql/control-sql.js';

const CHANNEL = 'bpfleet_live';
const RECONNECT_MS = 1000;

/**
 * Says to every replica that something changed, over LISTEN/NOTIFY. It is a hint: an event sent while the listening
 * connection is being made again is missed, and readers must be able to read everything whole.
 */
@Injectable()
export class LiveBus implements OnModuleInit, OnModuleDestroy {
  private readonly log = new Logger('LiveBus');
  private readonly listeners = new Set<(event: LiveEvent) => void>();
  private client: pg.Client | undefined;
  private retry: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly config: Config,
    private readonly sql: ControlSql,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.listen();
  }

  /** With `transaction`, listeners hear it after that transaction's COMMIT and never after its ROLLBACK. */
  async publish(event: LiveEvent, transaction?: pg.PoolClient): Promise<void> {
    await (transaction ?? this.sql.pool).query('SELECT pg_notify($1, $2)', [CHANNEL, JSON.stringify(event)]);
  }

  subscribe(listener: (event: LiveEvent) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private async listen(): Promise<void> {
    const client = new pg.Client({ connectionString: this.config.databaseUrl });
    client.on('notification', ({ payload }) => this.deliver(payload));
    client.on('error', (error) => this.lost(error));
    client.on('end', () => this.lost(new Error('connection closed')));
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      this.client = client;
    } catch (error) {
      this.lost(error as Error);
    }
  }

  private lost(error: Error): void {
    this.client = undefined;
    if (this.closed || this.retry) return;
    this.log.warn(`not listening (${error.message}); trying again in ${RECONNECT_MS} ms`);
    this.retry = setTimeout(() => {
      this.retry = undefined;
      void this.listen();
    }, RECONNECT_MS);
  }

  private deliver(payload: string | undefined): void {
    const event = liveEventSchema.safeParse(JSON.parse(payload ?? 'null'));
    if (!event.success) return;
    for (const listener of this.listeners) listener(event.data);
  }

  async onModuleDestroy(): Promise<void> {
    this.closed = true;
    clearTimeout(this.retry);
    await this.client?.end();
  }
}
