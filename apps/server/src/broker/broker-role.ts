import { startEmbeddedBroker, type EmbeddedBroker } from '@bpfleet/embedded';
import pg from 'pg';
import type { ServerConfig } from '../config/config.js';
import { ServerKeys } from '../platform/keys/server-keys.js';

const REVOCATION_POLL_MS = 2000;

/**
 * The role `broker`: MQTT behind mutual TLS in a process of its own, so that a restart of the server does not cut the
 * fleet off. Revoked certificates are read from Postgres every two seconds and their connections are cut; while Postgres is
 * away the last list holds.
 */
export class BrokerRole {
  private revoked = new Set<string>();
  private timer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly pool: pg.Pool,
    private readonly log: (message: string) => void,
  ) {}

  static async start(config: ServerConfig, log: (message: string) => void): Promise<BrokerRole & { port: number }> {
    const keys = await ServerKeys.open(config.dataDir);
    const own = await keys.issueServerCertificate(config.tlsNames);
    const pool = new pg.Pool({ connectionString: config.databaseUrl, max: 1 });
    pool.on('error', (error) => log(`idle connection lost: ${error.message}`));
    const role = new BrokerRole(pool, log);
    const broker = await startEmbeddedBroker({
      host: config.mqttHost,
      port: config.mqttPort,
      tls: { ca: keys.caPem, cert: own.certPem, key: own.keyPem },
      isRevoked: (serial) => role.revoked.has(serial.toLowerCase()),
      log,
    });
    role.broker = broker;
    await role.refresh();
    return Object.assign(role, { port: broker.port });
  }

  private broker: EmbeddedBroker | undefined;

  private async refresh(): Promise<void> {
    try {
      const { rows } = await this.pool.query<{ serial: string; deviceId: string }>(
        `SELECT c.serial, c."deviceId" FROM "Certificate" c JOIN "Device" d ON d.id = c."deviceId"
         WHERE c."revokedAt" IS NOT NULL OR d.status <> 'active'`,
      );
      const fresh = rows.filter((row) => !this.revoked.has(row.serial));
      this.revoked = new Set(rows.map((row) => row.serial));
      for (const { deviceId } of fresh) this.broker?.disconnect(deviceId);
    } catch (error) {
      // Before the first migration the table is not there yet; later it means that Postgres is away.
      if ((error as { code?: string }).code !== '42P01') this.log(`revocations not read: ${(error as Error).message}`);
    }
    this.timer = setTimeout(() => void this.refresh(), REVOCATION_POLL_MS);
  }

  async stop(): Promise<void> {
    clearTimeout(this.timer);
    await this.broker?.stop();
    await this.pool.end();
  }
}
