import { Global, Inject, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { Config, type ServerConfig } from '../config/config.js';
import { BlobStore } from './blobs/blob-store.js';
import { Clock, SystemClock } from './clock.js';
import { ServerKeys } from './keys/server-keys.js';
import { LiveBus } from './live/live-bus.js';
import { BrokerLink, MqttLink } from './mqtt/mqtt-link.js';
import { PrismaService } from './prisma/prisma.service.js';
import { ControlSql } from './sql/control-sql.js';

/** Adapters to the world outside: everything below `features/` gets its I/O from here. */
@Global()
@Module({})
export class PlatformModule implements OnApplicationShutdown {
  constructor(@Inject(MqttLink) private readonly link: BrokerLink) {}

  static with(config: ServerConfig): DynamicModule {
    const providers = [
      { provide: Config, useValue: config },
      { provide: Clock, useClass: SystemClock },
      { provide: ServerKeys, useFactory: () => ServerKeys.open(config.dataDir) },
      { provide: MqttLink, inject: [ServerKeys], useFactory: (keys: ServerKeys) => openLink(config, keys) },
      PrismaService,
      ControlSql,
      BlobStore,
      LiveBus,
    ];
    return {
      module: PlatformModule,
      providers,
      exports: [Config, Clock, ServerKeys, MqttLink, PrismaService, ControlSql, BlobStore, LiveBus],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.link.close();
  }
}

async function openLink(config: ServerConfig, keys: ServerKeys): Promise<BrokerLink> {
  const own = await keys.issueServerCertificate(['server']);
  return new BrokerLink({
    url: config.mqttUrl,
    clientId: `server-${config.roles.join('-')}-${randomBytes(4).toString('hex')}`,
    tls: { ca: keys.caPem, cert: own.certPem, key: own.keyPem },
  });
}
