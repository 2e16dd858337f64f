import { Controller, Module } from '@nestjs/common';
import { Route, type ResponseOf } from '../../http/route.js';
import { MqttLink } from '../../platform/mqtt/mqtt-link.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { Public } from '../session/index.js';
import { storeHealth, type StoreHealth } from '../telemetry/index.js';

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
    const answer = await this.databaseAnswer();
    const database = answer !== undefined;
    const broker = this.link.connected;
    const ingest = answer
      ? { ...answer, tablesWithoutRoom: [...answer.tablesWithoutRoom], problems: [...answer.problems] }
      : null;
    const status = database && broker && !(ingest && isInTrouble(ingest)) ? 'ok' : 'degraded';
    return { status, database, broker, ingest, version: VERSION };
  }

  /**
   * Undefined from a database that does not answer, null from one that knows nothing of telemetry yet. One that is frozen
   * never answers; who asks for health must get an answer all the same.
   */
  private databaseAnswer(): Promise<StoreHealth | null | undefined> {
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(undefined), ANSWER_WITHIN_MS);
      // The question has a bound too, so that those of many minutes do not wait for connections together.
      storeHealth(this.sql.pool, ANSWER_WITHIN_MS)
        .then(resolve, () => resolve(undefined))
        .finally(() => clearTimeout(late));
    });
  }
}

function isInTrouble({ oldestUnwrittenSeconds, tablesWithoutRoom, problems }: StoreHealth): boolean {
  return oldestUnwrittenSeconds !== null || tablesWithoutRoom.length + problems.length > 0;
}

@Module({ controllers: [HealthController] })
export class HealthModule {}
