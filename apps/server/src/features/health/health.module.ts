import { Controller, Module } from '@nestjs/common';
import { Route, type ResponseOf } from '../../http/route.js';
import { MqttLink } from '../../platform/mqtt/mqtt-link.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { Public } from '../session/index.js';

const VERSION = '0.1.0';
const ANSWER_WITHIN_MS = 2_000;

@Controller()
class HealthController {
  constructor(
    private readonly sql: ControlSql,
    private readonly link: MqttLink,
  ) {}

  @Public()
  @Route('health')
  async health(): Promise<ResponseOf<'health'>> {
    const database = await this.databaseAnswers();
    const broker = this.link.connected;
    return { status: database && broker ? 'ok' : 'degraded', database, broker, version: VERSION };
  }

  /** A database that is frozen never answers; who asks for health must get an answer all the same. */
  private databaseAnswers(): Promise<boolean> {
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(false), ANSWER_WITHIN_MS);
      // The question has a bound too, so that those of many minutes do not wait for connections together.
      const question = { text: 'SELECT 1', query_timeout: ANSWER_WITHIN_MS };
      this.sql.pool
        .query(question)
        .then(
          () => resolve(true),
          () => resolve(false),
        )
        .finally(() => clearTimeout(late));
    });
  }
}

@Module({ controllers: [HealthController] })
export class HealthModule {}
