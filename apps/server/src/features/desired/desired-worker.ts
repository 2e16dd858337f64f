import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Clock } from '../../platform/clock.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { DesiredWriter } from './desired-writer.js';
import { Pump } from './pump.js';
import { WorkSignal } from './queue/index.js';

const BATCH_DEVICES_MAX = 200;
const CONCURRENCY = 4;
const INTERVAL_MS = 1_000;
/** A lost connection or a deadlock has passed by the next round; what is wrong with a device itself may take days. */
const PUT_OFF_MS_MIN = 1_000;
const PUT_OFF_MS_MAX = 60_000;

/** Recomputes what is due: after a change of intents, labels or facts, and when a debug run's time is up. */
@Injectable()
export class DesiredWorker implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly log = new Logger('DesiredWorker');
  /** Failures one after the other, of those devices that have any. */
  private readonly failures = new Map<string, number>();
  private readonly pump = new Pump(() => this.refreshDue(), INTERVAL_MS, this.log);

  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly writer: DesiredWriter,
    private readonly signal: WorkSignal,
  ) {}

  onApplicationBootstrap(): void {
    this.signal.on('desired', () => this.pump.wake());
    this.pump.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.pump.stop();
  }

  /** One batch; true when there may be more. A device that cannot be computed is put off, so that it stops nobody else. */
  async refreshDue(): Promise<boolean> {
    const { rows } = await this.sql.pool.query<{ id: string }>(
      'SELECT id FROM "Device" WHERE "desiredDueAt" <= $1 ORDER BY "desiredDueAt", id LIMIT $2',
      [this.clock.now(), BATCH_DEVICES_MAX],
    );
    const ids = rows.map(({ id }) => id);
    const walkers = Array.from({ length: CONCURRENCY }, async () => {
      for (let id = ids.shift(); id !== undefined; id = ids.shift()) await this.refreshOne(id);
    });
    await Promise.all(walkers);
    return rows.length === BATCH_DEVICES_MAX;
  }

  private async refreshOne(id: string): Promise<void> {
    try {
      await this.writer.refresh(id);
      this.failures.delete(id);
    } catch (error) {
      this.log.error(`desired state of ${id}: ${(error as Error).message}`);
      const before = this.failures.get(id) ?? 0;
      this.failures.set(id, before + 1);
      const putOffMs = Math.min(PUT_OFF_MS_MAX, PUT_OFF_MS_MIN * 2 ** before);
      const later = new Date(this.clock.now().getTime() + putOffMs);
      await this.sql.pool.query('UPDATE "Device" SET "desiredDueAt" = $2 WHERE id = $1', [id, later]);
    }
  }
}
