import { Injectable } from '@nestjs/common';
import type { RunState } from '@bpfleet/api';
import type { ParamValue } from '@bpfleet/probe';
import type pg from 'pg';
import { Clock } from '../../platform/clock.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { attachedStates, isAttached, isFinal, keepsError, mayDecide, runStateOf } from './run-machine.js';

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
  /** Of REJECTED: shown where a device's own would be. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** A device that reboots daily, or one that says ATTACHED and FETCHING in turn, writes its history for ever. */
export const HISTORY_KEPT_MAX = 1_000;
/** At once, of a history from before it was bounded. */
const FORGOTTEN_AT_ONCE_MAX = 200;

/** Every change of a run's state goes through here: compare-and-set, recorded, and told to who is watching. */
@Injectable()
export class RunTransitions {
  constructor(
    private readonly clock: Clock,
    private readonly live: LiveBus,
  ) {}

  /** A new run in PENDING, or with `next` already a step further: one row, both steps in its history. */
  async begin(client: pg.PoolClient, run: NewRun, next?: Pick<RunMove, 'to' | 'reason'>): Promise<void> {
    const now = this.clock.now();
    const { id, deviceId, releaseId, kind, intent, endsAt } = run;
    const state = next?.to ?? 'PENDING';
    if (next && !mayDecide('PENDING', next.to)) throw new Error(`a new run cannot be ${next.to}`);
    await client.query(
      `INSERT INTO "Run" (id, "deviceId", "releaseId", kind, intent, params, state, "createdAt", "updatedAt", "endsAt")
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)`,
      [id, deviceId, releaseId, kind, intent, JSON.stringify(run.params), state, now, endsAt],
    );
    const first = { from: null, to: 'PENDING', reason: run.reason } as const;
    const steps = next ? [first, { from: 'PENDING', ...next } as const] : [first];
    await this.record(client, { id, deviceId }, steps);
  }

  /** A decision of the server. False when the run is no longer in `from`, or may not go there: it keeps its state. */
  async decide(client: pg.PoolClient, move: RunMove): Promise<boolean> {
    if (!mayDecide(move.from, move.to)) return false;
    const { rowCount } = await client.query(
      `UPDATE "Run" SET state = $3, "updatedAt" = $4, "endedAt" = $5, error = COALESCE($6, error) WHERE id = $1 AND state = $2`,
      [
        move.id,
        move.from,
        move.to,
        this.clock.now(),
        isFinal(move.to) ? this.clock.now() : null,
        move.error ? json({ ...move.error, log: null }) : null,
      ],
    );
    if (rowCount !== 1) return false;
    await this.record(client, move, [move]);
    return true;
  }

  /** Everything that this device was to run is over: nobody will hear what becomes of it. */
  async giveUpAll(client: pg.PoolClient, deviceId: string, reason: string): Promise<void> {
    const { rows } = await client.query<{ id: string; state: string }>(
      'SELECT id, state FROM "Run" WHERE "deviceId" = $1 AND wanted ORDER BY "createdAt", id FOR UPDATE',
      [deviceId],
    );
    for (const { id, state } of rows) {
      const from = runStateOf(state);
      const to = isAttached(from) ? 'ENDED' : 'REMOVED';
      await this.decide(client, { id, deviceId, from, to, reason });
    }
    await client.query('UPDATE "Run" SET wanted = false WHERE "deviceId" = $1 AND wanted', [deviceId]);
  }

  /** A device's report that moves the run; the caller has asked the machine. False when another report was faster. */
  async report(client: pg.PoolClient, move: RunMove, revision: number, error: object | null): Promise<boolean> {
    const now = this.clock.now();
    const { rowCount } = await client.query(
      `UPDATE "Run" SET state = $3, revision = $4, error = CASE WHEN $9 THEN COALESCE($5, error) ELSE $5 END, "updatedAt" = $6,
         "attachedAt" = CASE WHEN $7 THEN COALESCE("attachedAt", $6) ELSE "attachedAt" END,
         "endedAt" = CASE WHEN $8 THEN $6::timestamptz END
       WHERE id = $1 AND state = $2 AND revision < $4`,
      [
        ...[move.id, move.from, move.to, revision, json(error), now],
        ...[attachedStates.includes(move.to), isFinal(move.to), keepsError(move.to)],
      ],
    );
    if (rowCount !== 1) return false;
    await this.record(client, move, [move]);
    return true;
  }

  /**
   * Why the device had refused a run that was over for the server before it heard so: the state stays, and the reason is kept
   * beside one that the server may have given itself. False when another report was faster.
   */
  async addReason(client: pg.PoolClient, move: RunMove, revision: number, error: object): Promise<boolean> {
    const { rowCount } = await client.query(
      `UPDATE "Run" SET revision = $3, error = COALESCE(error, $4), "updatedAt" = $5 WHERE id = $1 AND state = $2 AND revision < $3`,
      [move.id, move.from, revision, json(error), this.clock.now()],
    );
    if (rowCount !== 1) return false;
    await this.record(client, move, [move]);
    return true;
  }

  private async record(
    client: pg.PoolClient,
    run: Pick<RunMove, 'id' | 'deviceId'>,
    steps: readonly { readonly from: RunState | null; readonly to: RunState; readonly reason: string }[],
  ): Promise<void> {
    await client.query(
      `INSERT INTO "RunTransition" ("runId", at, "from", "to", reason)
       SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[])`,
      [run.id, this.clock.now(), steps.map(({ from }) => from), steps.map(({ to }) => to), steps.map((s) => s.reason)],
    );
    await client.query(
      `DELETE FROM "RunTransition" WHERE id IN (
         SELECT id FROM "RunTransition" WHERE "runId" = $1 ORDER BY id DESC OFFSET $2 LIMIT $3)`,
      [run.id, HISTORY_KEPT_MAX, FORGOTTEN_AT_ONCE_MAX],
    );
    const last = steps.at(-1);
    if (last) await this.live.publish({ type: 'run', run: run.id, device: run.deviceId, state: last.to }, client);
  }
}

function json(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}
