import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Config } from '../../config/config.js';
import { Clock } from '../../platform/clock.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { Pump } from '../desired/queue/index.js';
import { LabMachines } from './machine/lab-machines.js';
import { LabSession } from './session/lab-session.js';

const INTERVAL_MS = 5_000;
const HOST_FORGOTTEN_MS = 24 * 3_600_000;

/** The role lab: as many VMs at once as are configured, each proving for one kernel. */
@Injectable()
export class LabWorker implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly log = new Logger('LabWorker');
  private readonly holder = `${hostname().slice(0, 64)}-${process.pid}-${randomBytes(4).toString('hex')}`;
  private readonly stopping = new AbortController();
  private readonly pumps: Pump[] = [];
  private readonly seen = new Pump(() => this.tellOfMe(), INTERVAL_MS, this.log);
  private missing: string | undefined;
  private forget: () => void = () => undefined;

  constructor(
    private readonly config: Config,
    private readonly clock: Clock,
    private readonly live: LiveBus,
    private readonly sql: ControlSql,
    private readonly machines: LabMachines,
    private readonly session: LabSession,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.missing = await this.machines.missing();
    this.seen.start();
    if (this.missing !== undefined) return this.log.warn(`the lab boots nothing here: ${this.missing}`);
    for (let at = 0; at < this.config.labMachines; at++) {
      this.pumps.push(new Pump(() => this.round(), INTERVAL_MS, this.log));
    }
    this.forget = this.live.subscribe(({ type }) => {
      if (type === 'release' || type === 'assignment') for (const pump of this.pumps) pump.wake();
    });
    for (const pump of this.pumps) pump.start();
  }

  /** VMs end at once; what they proved waits for the next to come. */
  async onModuleDestroy(): Promise<void> {
    this.stopping.abort(new Error('the server stops'));
    this.forget();
    await Promise.all([this.seen, ...this.pumps].map((pump) => pump.stop()));
    await this.sql.pool.query('DELETE FROM "LabHost" WHERE holder = $1', [this.holder]);
    await this.live.publish({ type: 'lab', release: null });
  }

  private round(): Promise<boolean> {
    return this.session.run(this.holder, this.stopping.signal);
  }

  private async tellOfMe(): Promise<boolean> {
    const now = this.clock.now();
    const { rows } = await this.sql.pool.query<{ fresh: boolean }>(
      `INSERT INTO "LabHost" (holder, machines, reason, "seenAt") VALUES ($1, $2, $3, $4)
       ON CONFLICT (holder) DO UPDATE SET "seenAt" = EXCLUDED."seenAt" RETURNING xmax = 0 AS fresh`,
      [this.holder, this.missing === undefined ? this.config.labMachines : 0, this.missing ?? null, now],
    );
    if (rows[0]?.fresh) await this.live.publish({ type: 'lab', release: null });
    await this.sql.pool.query('DELETE FROM "LabHost" WHERE "seenAt" < $1', [
      new Date(now.getTime() - HOST_FORGOTTEN_MS),
    ]);
    return false;
  }
}
