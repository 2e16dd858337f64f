import { Injectable } from '@nestjs/common';
import type { RunState } from '@bpfleet/api';
import type { ParamValue } from '@bpfleet/probe';
import type pg from 'pg';
import { Clock } from '../../platform/clock.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { attachedStates, isFinal, mayDecide } from './run-machine.js';

export interface NewRun {
  readonly id: string;
  readonly deviceId: string;
  readonly releaseId: string;
  readonly kind: 'assignment' | 'debug';
  readonly intent: string;
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly endsAt: Date | null;
  readonly reason: string;
}

export interface RunMove {
  readonly id: string;
  readonly deviceId: string;
  readonly from: RunState;
  readonly to: RunState;
  readonly reason: string;
}

/** Every change of a run's state goes through here: compare-and-set, recorded, and told to who is watching. */
@Injectable()
export class RunTransitions {
  constructor(
    private readonly clock: Clock,
    private readonly live: LiveBus,
  ) {}

  /** A new run in PENDING. */
  async begin(client: pg.PoolClient, run: NewRun): Promise<void> {
    const now = this.clock.now();
    await client.query(
      `INSERT INTO "Run" (id, "deviceId", "releaseId", kind, intent, params, state, "createdAt", "updatedAt", "endsAt")
       VALUES ($1, $2, $3, $4, $5, $6, 'PENDING', $7, $7, $8)`,
      [run.id, run.deviceId, run.releaseId, run.kind, run.intent, JSON.stringify(run.params), now, run.endsAt],
    );
    await this.record(client, { ...run, from: null, to: 'PENDING' });
  }

  /** A decision of the server. False when the run is no longer in `from`, or may not go there: it keeps its state. */
  async decide(client: pg.PoolClient, move: RunMove): Promise<boolean> {
    if (!mayDecide(move.from, move.to)) return false;
    const { rowCount } = await client.query(
      `UPDATE "Run" SET state = $3, "updatedAt" = $4, "endedAt" = $5 WHERE id = $1 AND state = $2`,
      [move.id, move.from, move.to, this.clock.now(), isFinal(move.to) ? this.clock.now() : null],
    );
    if (rowCount !== 1) return false;
    await this.record(client, move);
    return true;
  }

  /** A device's report that moves the run; the caller has asked the machine. False when another report was faster. */
  async report(client: pg.PoolClient, move: RunMove, revision: number, error: object | null): Promise<boolean> {
    const now = this.clock.now();
    const { rowCount } = await client.query(
      `UPDATE "Run" SET state = $3, revision = $4, error = $5, "updatedAt" = $6,
         "attachedAt" = CASE WHEN $7 THEN COALESCE("attachedAt", $6) ELSE "attachedAt" END,
         "endedAt" = CASE WHEN $8 THEN $6::timestamptz END
       WHERE id = $1 AND state = $2 AND revision < $4`,
      [move.id, move.from, move.to, revision, json(error), now, attachedStates.includes(move.to), isFinal(move.to)],
    );
    if (rowCount !== 1) return false;
    await this.record(client, move);
    return true;
  }

  private async record(client: pg.PoolClient, move: Omit<RunMove, 'from'> & { from: RunState | null }): Promise<void> {
    await client.query('INSERT INTO "RunTransition" ("runId", at, "from", "to", reason) VALUES ($1, $2, $3, $4, $5)', [
      move.id,
      this.clock.now(),
      move.from,
      move.to,
      move.reason,
    ]);
    await this.live.publish({ type: 'run', run: move.id, device: move.deviceId, state: move.to }, client);
  }
}

function json(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}
