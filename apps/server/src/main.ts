import 'reflect-metadata';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Logger } from '@nestjs/common';
import { AppModule } from './app.module.js';
import { BrokerRole } from './broker/broker-role.js';
import { ConfigError, parseConfig, type ServerConfig } from './config/config.js';
import { createHttpApplication } from './http/http-server.js';
import { BrokerLink, MqttLink } from './platform/mqtt/mqtt-link.js';
import { migrate, readMigrations } from './platform/prisma/migrate.js';
import { StderrLogger } from './platform/stderr-logger.js';

const repositoryDir = join(dirname(fileURLToPath(import.meta.url)), '../../..');

function ready(facts: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ ready: true, ...facts })}\n`);
}

async function runBroker(config: ServerConfig): Promise<void> {
  const log = new StderrLogger();
  const broker = await BrokerRole.start(config, (message) => log.log(message, 'Broker'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void broker.stop().finally(() => process.exit(0)));
  }
  ready({ roles: config.roles, mqttPort: broker.port });
}

async function runServer(config: ServerConfig): Promise<void> {
  const applied = await migrate(config.databaseUrl, readMigrations(join(repositoryDir, 'prisma/migrations')));
  const app = await createHttpApplication(AppModule.forRoles(config), config, new StderrLogger());
  if (applied.length > 0) new Logger('Server').log(`applied migrations: ${applied.join(', ')}`);
  // Handlers are subscribed while the modules start; only then is the connection made.
  await app.init();
  if (config.roles.some((role) => role !== 'lab')) app.get<BrokerLink>(MqttLink).start();
  if (config.roles.includes('api')) await app.listen(config.httpPort, config.httpHost);
  ready({ roles: config.roles, url: config.roles.includes('api') ? await app.getUrl() : undefined });
}

async function main(): Promise<void> {
  const config = parseConfig(process.env, repositoryDir);
  if (config.roles.includes('broker')) {
    if (config.roles.length > 1) throw new ConfigError('BPFLEET_ROLES: the role broker runs in a process of its own');
    return runBroker(config);
  }
  return runServer(config);
}

main().catch((error: Error & { code?: string }) => {
  const port = process.env.BPFLEET_HTTP_PORT ?? '8480';
  const message =
    error.code === 'EADDRINUSE'
      ? `port ${port} is in use: stop what listens there or set BPFLEET_HTTP_PORT (HTTP) or BPFLEET_MQTT_PORT (broker)`
      : error instanceof ConfigError
        ? error.message
        : (error.stack ?? error.message);
  process.stderr.write(`${JSON.stringify({ level: 'fatal', code: error.code ?? 'START_FAILED', message })}\n`);
  process.exit(1);
});
