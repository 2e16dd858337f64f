import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import pg from 'pg';
import { Config } from '../../../config/config.js';

/** `desired`: some device's desired state is due; `outbox`: a message waits to be sent. */
export type WorkKind = 'desired' | 'outbox';

const CHANNEL = 'bpfleet_work';
const RECONNECT_MS = 1000;

/** Says inside a transaction that there is work: heard after its COMMIT, and never after a ROLLBACK. */
export async function notifyWork(client: pg.PoolClient, kind: WorkKind): Promise<void> {
  await client.query('SELECT pg_notify($1, $2)', [CHANNEL, kind]);
}

/** Hears of work from any replica. A hint only: each worker also looks by itself from time to time. */
@Injectable()
export class WorkSignal implements OnModuleInit, OnModuleDestroy {
  private readonly log = new Logger('WorkSignal');
  private readonly listeners = new Map<WorkKind, () => void>();
  private client: pg.Client | undefined;
  private retry: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly config: Config) {}

  async onModuleInit(): Promise<void> {
    await this.listen();
  }

  /** One listener a kind. */
  on(kind: WorkKind, wake: () => void): void {
    this.listeners.set(kind, wake);
  }

  private async listen(): Promise<void> {
    const client = new pg.Client({ connectionString: this.config.databaseUrl });
    client.on('notification', ({ payload }) => this.listeners.get(payload as WorkKind)?.());
    client.on('error', (error) => this.lost(client, error));
    client.on('end', () => this.lost(client, new Error('connection closed')));
    this.client = client;
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      // What was announced while nobody listened is found now.
      for (const wake of this.listeners.values()) wake();
    } catch (error) {
      this.lost(client, error as Error);
    }
  }

  private lost(client: pg.Client, error: Error): void {
    if (this.closed || client !== this.client) return;
    this.client = undefined;
    void client.end().catch(() => undefined);
    this.log.warn(`not listening (${error.message}); trying again in ${RECONNECT_MS} ms`);
    this.retry = setTimeout(() => void this.listen(), RECONNECT_MS);
  }

  async onModuleDestroy(): Promise<void> {
    this.closed = true;
    clearTimeout(this.retry);
    await this.client?.end().catch(() => undefined);
  }
}
