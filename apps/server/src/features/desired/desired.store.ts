import { Injectable } from '@nestjs/common';
import type { ParamValue } from '@bpfleet/probe';
import type { Facts } from '@bpfleet/wire';
import type pg from 'pg';
import { runStateOf } from '../runs/index.js';
import type { DesiredDevice } from './desired.js';
import type { WantedRun } from './plan-runs.js';

export interface LockedDevice extends DesiredDevice {
  /** As the device told them at its last birth. */
  readonly facts: Facts | null;
  readonly online: boolean;
  readonly generation: number;
  readonly envelope: Buffer | null;
  /** Null until it has told its kernel. */
  readonly kernelGroupId: string | null;
}

export interface AssignmentRow {
  readonly id: string;
  readonly releaseId: string;
  readonly selector: string;
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly createdAt: Date;
}

export interface WantedRunRow extends WantedRun {
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly createdAt: Date;
}

export interface SignedDesired {
  readonly generation: number;
  readonly envelope: Buffer;
  readonly digest: string;
}

/** Rows behind the desired state. Every method runs in the caller's transaction. */
@Injectable()
export class DesiredStore {
  /** The device under its row lock; undefined when there is none. */
  async lockDevice(client: pg.PoolClient, id: string): Promise<LockedDevice | undefined> {
    const { rows } = await client.query<LockedDevice>(
      `SELECT id, name, labels, status, online, facts, "desiredGeneration" AS generation, "desiredEnvelope" AS envelope, "kernelGroupId"
       FROM "Device" WHERE id = $1 FOR UPDATE`,
      [id],
    );
    return rows[0];
  }

  async activeAssignments(client: pg.PoolClient): Promise<AssignmentRow[]> {
    const { rows } = await client.query<AssignmentRow>(
      `SELECT id, "releaseId", selector, params, "createdAt" FROM "Assignment" WHERE state = 'active'`,
    );
    return rows;
  }

  /** Locked, so that a report cannot move a run between the decision about it and its writing. */
  async wantedRuns(client: pg.PoolClient, deviceId: string): Promise<WantedRunRow[]> {
    const { rows } = await client.query<WantedRunRow & { state: string }>(
      `SELECT r.id, r.kind, r.intent, r."releaseId", l.probe, r.params, r.state, r."createdAt", r."endsAt", r.basis
       FROM "Run" r JOIN "Release" l ON l.id = r."releaseId"
       WHERE r."deviceId" = $1 AND r.wanted ORDER BY r."createdAt", r.id FOR UPDATE OF r`,
      [deviceId],
    );
    return rows.map((row) => ({ ...row, state: runStateOf(row.state) }));
  }

  async save(client: pg.PoolClient, deviceId: string, signed: SignedDesired): Promise<void> {
    await client.query(
      `UPDATE "Device" SET "desiredGeneration" = $2, "desiredEnvelope" = $3, "desiredDigest" = $4 WHERE id = $1`,
      [deviceId, signed.generation, signed.envelope, signed.digest],
    );
  }

  /** When to look at this device again by itself; null is never. */
  async setDue(client: pg.PoolClient, deviceId: string, at: Date | null): Promise<void> {
    await client.query('UPDATE "Device" SET "desiredDueAt" = $2 WHERE id = $1', [deviceId, at]);
  }

  async adoptRun(client: pg.PoolClient, id: string, intent: string): Promise<void> {
    await client.query('UPDATE "Run" SET intent = $2 WHERE id = $1', [id, intent]);
  }

  async setBasis(client: pg.PoolClient, id: string, basis: string): Promise<void> {
    await client.query('UPDATE "Run" SET basis = $2 WHERE id = $1', [id, basis]);
  }

  async dropRun(client: pg.PoolClient, id: string): Promise<void> {
    await client.query('UPDATE "Run" SET wanted = false WHERE id = $1', [id]);
  }

  /** Waits behind nobody: older messages for the same topic are dropped unless they are being sent right now. */
  async replaceOutbox(
    client: pg.PoolClient,
    deviceId: string,
    topic: string,
    payload: Buffer,
    at: Date,
  ): Promise<void> {
    await client.query(
      `WITH older AS (SELECT id FROM "Outbox" WHERE "deviceId" = $1 AND topic = $2 FOR UPDATE SKIP LOCKED),
         gone AS (DELETE FROM "Outbox" WHERE id IN (SELECT id FROM older))
       INSERT INTO "Outbox" ("deviceId", topic, payload, "createdAt") VALUES ($1, $2, $3, $4)`,
      [deviceId, topic, payload, at],
    );
  }
}
