import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { TelemetryQueryModule } from '../telemetry/query/query.module.js';
import { TelemetryReads } from '../telemetry/query/telemetry-reads.js';
import { ControlModule } from './index.js';
import { Refusals } from './refusals.js';
import { addDevice, Bench } from './testing/bench.js';
import { birth, sync } from './testing/steps.js';

let database: TestDatabase;
let bench: Bench;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = await Bench.start({ databaseUrl: database.url, modules: [ControlModule, TelemetryQueryModule] });
  bench.link.connect();
});
afterAll(async () => {
  await bench?.stop();
  await database?.drop();
});

it('answers devices while more charts are asked for than are drawn at once', async () => {
  const device = await addDevice(bench);
  let finish = () => {};
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const reads = bench.get(TelemetryReads);
  const charts = Array.from({ length: 12 }, () =>
    reads.read(async (client) => {
      await client.query('SELECT 1');
      await finished;
      return 'drawn';
    }),
  );
  // Those that get no turn are told so; the others hold their connections until the end.
  const outcomes = Promise.allSettled(charts);
  await expect(
    Promise.any(
      charts.map((chart) =>
        chart.then(
          () => Promise.reject(),
          (error: unknown) => error,
        ),
      ),
    ),
  ).resolves.toMatchObject({
    status: 503,
    code: 'TELEMETRY_BUSY',
  });
  expect((await sync(bench, device)).desired).toMatchObject({ device });
  finish();
  const drawn = (await outcomes).filter(({ status }) => status === 'fulfilled');
  expect(drawn).toHaveLength(4);
});

it('says of messages that it cannot handle no more than some each minute', async () => {
  const error = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  const refusals = new Refusals(bench.clock);
  for (let index = 0; index < 100; index += 1) refusals.fail('sync', 'd1', new Error('no connection'));
  expect(error).toHaveBeenCalledTimes(30);
  expect(refusals.snapshot()).toEqual({ HANDLER_FAILED: 100 });
  bench.clock.advance(60_000);
  refusals.fail('sync', 'd1', new Error('no connection'));
  expect(error.mock.calls.slice(30).map(([line]) => String(line).split('\n')[0])).toEqual([
    '70 more messages could not be handled in that minute',
    'sync of d1: Error: no connection',
  ]);
  error.mockRestore();
});

it('keeps to that when a handler fails', async () => {
  const device = await addDevice(bench);
  await birth(bench, device, 1);
  const before = bench.get(Refusals).snapshot()['HANDLER_FAILED'] ?? 0;
  bench.link.disconnect();
  await sync(bench, device).catch(() => undefined);
  bench.link.connect();
  expect(bench.get(Refusals).snapshot()['HANDLER_FAILED']).toBe(before + 1);
});
