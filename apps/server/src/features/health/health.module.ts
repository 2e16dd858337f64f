import { Controller, Module } from '@nestjs/common';
import { Route, type ResponseOf } from '../../http/route.js';
import { MqttLink } from '../../platform/mqtt/mqtt-link.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { Public } from '../session/index.js';

const VERSION = '0.1.0';

@Controller()
class HealthController {
  constructor(
    private readonly sql: ControlSql,
    private readonly link: MqttLink,
  ) {}

  @Public()
  @Route('health')
  async health(): Promise<ResponseOf<'health'>> {
    const database = await this.sql.pool.query('SELECT 1').then(
      () => true,
      () => false,
    );
    const broker = this.link.connected;
    return { status: database && broker ? 'ok' : 'degraded', database, broker, version: VERSION };
  }
}

@Module({ controllers: [HealthController] })
export class HealthModule {}
