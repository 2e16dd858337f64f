import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/clock.js';
import { notFound } from '../../platform/errors.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { AuditLog } from '../audit/log/index.js';
import { RunTransitions } from '../runs/index.js';
import { cleanText } from './hostile-text.js';

/**
 * Shuts a device out for good: its certificates are revoked, which the embedded broker learns within two seconds and then cuts
 * its connection; the server hears it no more, and nothing is decided for it. What is in its kernel cannot be reached any more
 * and stays until the device's own clock says that its lease is over (DESIGN §7).
 */
@Injectable()
export class Revocation {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly live: LiveBus,
    private readonly transitions: RunTransitions,
    private readonly audit: AuditLog,
  ) {}

  /** Twice is once: the first reason stays. Throws DEVICE_UNKNOWN (404). */
  async revoke(actor: string, id: string, given: string): Promise<void> {
    const reason = cleanText(given);
    const now = this.clock.now();
    await this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<{ name: string; status: string }>(
        'SELECT name, status FROM "Device" WHERE id = $1 FOR UPDATE',
        [id],
      );
      const device = rows[0];
      if (!device) throw notFound('device', id);
      if (device.status === 'revoked') return;
      await client.query(
        `UPDATE "Device" SET status = 'revoked', "revokedAt" = $2, "revokedReason" = $3, online = false, "desiredDueAt" = NULL
         WHERE id = $1`,
        [id, now, reason],
      );
      await client.query('UPDATE "Certificate" SET "revokedAt" = $2 WHERE "deviceId" = $1 AND "revokedAt" IS NULL', [
        id,
        now,
      ]);
      await client.query('DELETE FROM "Outbox" WHERE "deviceId" = $1', [id]);
      await this.transitions.giveUpAll(client, id, `${actor} revoked the device: ${reason}`);
      await this.live.publish({ type: 'device', device: id, online: false }, client);
      const details = { name: device.name, reason };
      await this.audit.record(client, { actor, action: 'device.revoke', subject: id, details });
    });
  }
}
