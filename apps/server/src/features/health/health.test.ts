import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startApp, type TestApp } from '../../../test/start-app.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { SessionModule } from '../session/index.js';
import { TelemetrySchemaModule } from '../telemetry/schema/schema.module.js';
import { HealthModule } from './index.js';

let server: TestApp;
beforeAll(async () => {
  server = await startApp([SessionModule, HealthModule, TelemetrySchemaModule]);
});
afterAll(() => server?.stop());

const health = () => server.anonymous.call('health', {});

it('says what telemetry waits for, and what maintenance could not do', async () => {
  expect((await health()).ingest).toEqual({ oldestUnwrittenSeconds: null, tablesWithoutRoom: [], problems: [] });
  const { pool } = server.app.get(ControlSql);
  await pool.query(
    `INSERT INTO telemetry.writer (writer, waiting_since, without_room, updated_at) VALUES
       ('one', now() - interval '90 seconds', '{sample}', now()), ('two', now() - interval '1 hour', '{hist,sample}', now()),
       ('well', NULL, '{}', now()), ('gone', now() - interval '1 day', '{profile}', now() - interval '6 minutes')`,
  );
  await pool.query(`INSERT INTO telemetry.upkeep (retention_at, problems) VALUES (now(), '{"set their clocks"}')`);
  const { status, ingest } = await health();
  expect(status).toBe('degraded');
  expect(ingest).toMatchObject({ tablesWithoutRoom: ['hist', 'sample'], problems: ['set their clocks'] });
  expect(ingest?.oldestUnwrittenSeconds).toBeGreaterThanOrEqual(3600);
});

it('knows a store that has not been made yet', async () => {
  await server.app.get(ControlSql).pool.query('DROP SCHEMA telemetry CASCADE');
  expect(await health()).toMatchObject({ database: true, ingest: null });
});
