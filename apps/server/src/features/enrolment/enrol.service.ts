import { Injectable } from '@nestjs/common';
import { Config } from '../../config/config.js';
import type { BodyOf, ResponseOf } from '../../http/route.js';
import { Clock } from '../../platform/clock.js';
import { ServerKeys } from '../../platform/keys/server-keys.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { AuditLog } from '../audit/log/index.js';
import { cleanText, cutText } from '../devices/index.js';
import { mintDeviceId } from './device-id.js';
import { EnrolmentTokens } from './tokens.service.js';

const NAME_CHARS_MAX = 128;

/** Turns a token and a key into an identity. All of it or nothing: a refused request uses up no token. */
@Injectable()
export class Enrolment {
  constructor(
    private readonly sql: ControlSql,
    private readonly tokens: EnrolmentTokens,
    private readonly keys: ServerKeys,
    private readonly clock: Clock,
    private readonly config: Config,
    private readonly live: LiveBus,
    private readonly audit: AuditLog,
  ) {}

  /** Throws TOKEN_UNKNOWN, TOKEN_EXPIRED, TOKEN_USED or CSR_INVALID. */
  async enrol(request: BodyOf<'enrol'>): Promise<ResponseOf<'enrol'>> {
    const device = mintDeviceId();
    const now = this.clock.now();
    const name = cutText(cleanText(request.hostname), NAME_CHARS_MAX) || device;
    const certificate = await this.sql.withTransaction(async (client) => {
      const labels = await this.tokens.use(client, request.token);
      const issued = await this.keys.issueDeviceCertificate(request.csr, device, now);
      await client.query(
        'INSERT INTO "Device" (id, name, labels, "enrolledAt", "desiredDueAt") VALUES ($1, $2, $3, $4, $4)',
        [device, name, JSON.stringify(labels), now],
      );
      await client.query(
        'INSERT INTO "Certificate" (serial, "deviceId", pem, "issuedAt", "expiresAt") VALUES ($1, $2, $3, $4, $5)',
        [issued.serial, device, issued.pem, now, issued.expiresAt],
      );
      await this.live.publish({ type: 'device', device, online: false }, client);
      const token = request.token.split('.')[1] ?? '';
      const entry = { actor: `token:${token}`, action: 'device.enrol', subject: device, details: { name } };
      await this.audit.record(client, entry);
      return issued.pem;
    });
    return {
      device,
      certificate,
      root: this.keys.root.envelope.toString('base64'),
      mqttUrl: this.config.mqttPublicUrl,
    };
  }
}
