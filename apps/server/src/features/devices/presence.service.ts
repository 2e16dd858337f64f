import { Injectable } from '@nestjs/common';
import type { Birth } from '@bpfleet/wire';
import { Clock } from '../../platform/clock.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { DesiredQueue } from '../desired/queue/index.js';
import { KernelGroups } from '../kernels/groups/index.js';

/**
 * Who is there. A broker says that a device is gone by publishing its will, which may come late, behind the birth of the
 * device's next connection: connection numbers tell them apart (DESIGN §6).
 */
@Injectable()
export class Presence {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly live: LiveBus,
    private readonly queue: DesiredQueue,
    private readonly groups: KernelGroups,
  ) {}

  /** False for a birth older than the newest: nothing was changed. */
  async born(deviceId: string, birth: Birth): Promise<boolean> {
    const facts = birth.facts ? JSON.stringify(birth.facts) : null;
    return this.sql.withTransaction(async (client) => {
      const before = await client.query<{ connection: string; differ: boolean; undecided: boolean }>(
        `SELECT connection, $2::jsonb IS NOT NULL AND facts IS DISTINCT FROM $2::jsonb AS differ,
           "desiredEnvelope" IS NULL AS undecided FROM "Device" WHERE id = $1 AND status = 'active' FOR UPDATE`,
        [deviceId, facts],
      );
      const row = before.rows[0];
      if (!row || birth.connection < Number(row.connection)) return false;
      await client.query(
        `UPDATE "Device" SET online = true, connection = $2, "bootId" = $3, "lastSeenAt" = $4, facts = COALESCE($5, facts),
           "kernelRelease" = COALESCE($6, "kernelRelease"), "kernelArch" = COALESCE($7, "kernelArch") WHERE id = $1`,
        [
          deviceId,
          birth.connection,
          birth.bootId,
          this.clock.now(),
          facts,
          birth.facts?.kernelRelease ?? null,
          birth.facts?.kernelArch ?? null,
        ],
      );
      if (birth.facts) await this.groups.note(client, deviceId, birth.facts);
      if (row.differ || row.undecided) await this.queue.due(client, [deviceId]);
      await this.live.publish({ type: 'device', device: deviceId, online: true }, client);
      return true;
    });
  }

  /** The will. False when it is late: the device has connected again since, or is known to be gone already. */
  async died(deviceId: string, connection: number): Promise<boolean> {
    return this.sql.withTransaction(async (client) => {
      const { rowCount } = await client.query(
        'UPDATE "Device" SET online = false WHERE id = $1 AND connection <= $2 AND online',
        [deviceId, connection],
      );
      if (rowCount !== 1) return false;
      await this.live.publish({ type: 'device', device: deviceId, online: false }, client);
      return true;
    });
  }

  /** Any message but a will: only a connected device can have sent it. One that was revoked a moment ago stays offline. */
  async seen(deviceId: string): Promise<void> {
    await this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<{ was: boolean }>(
        `UPDATE "Device" d SET online = true, "lastSeenAt" = $2
         FROM (SELECT id, online FROM "Device" WHERE id = $1 AND status = 'active' FOR UPDATE) old WHERE d.id = old.id RETURNING old.online AS was`,
        [deviceId, this.clock.now()],
      );
      if (rows[0]?.was === false) await this.live.publish({ type: 'device', device: deviceId, online: true }, client);
    });
  }

  async onlineDevices(): Promise<string[]> {
    const { rows } = await this.sql.pool.query<{ id: string }>(
      `SELECT id FROM "Device" WHERE online AND status = 'active' ORDER BY id`,
    );
    return rows.map(({ id }) => id);
  }

  /** Devices believed to be there that have said nothing since `askedAt`, when each was asked: their will was missed. */
  async silentSince(askedAt: Date): Promise<string[]> {
    return this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<{ id: string }>(
        `UPDATE "Device" SET online = false WHERE online AND ("lastSeenAt" IS NULL OR "lastSeenAt" < $1) RETURNING id`,
        [askedAt],
      );
      for (const { id } of rows) await this.live.publish({ type: 'device', device: id, online: false }, client);
      return rows.map(({ id }) => id);
    });
  }
}
