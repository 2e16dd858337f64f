import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { PrismaPg } from '@prisma/adapter-pg';
import { Config } from '../../config/config.js';
import { CONNECTION_WAIT_MS_MAX } from '../sql/control-sql.js';
import { PrismaClient } from './generated/client.js';

@Injectable()
export class PrismaService extends PrismaClient implements OnModuleDestroy {
  constructor(config: Config) {
    super({
      adapter: new PrismaPg({
        connectionString: config.databaseUrl,
        max: 10,
        connectionTimeoutMillis: CONNECTION_WAIT_MS_MAX,
      }),
      // Its own default for the wait, 2 s, is less than what every other question may wait for a connection.
      transactionOptions: { maxWait: CONNECTION_WAIT_MS_MAX, timeout: CONNECTION_WAIT_MS_MAX },
    });
  }

  async onModuleDestroy(): Promise<void> {
    await this.$disconnect();
  }
}
