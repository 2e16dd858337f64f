import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { StoreWorld } from '../../../test/telemetry/store-world.js';
import { HeatmapQuery } from './query/heatmap.query.js';
import { TelemetryReads } from './query/telemetry-reads.js';

const NOW = new Date('2026-11-22T12:00:00.000Z');
const DEVICE = 'dtestdevice1';
const RUN = 'rtestrun0001';

let database: TestDatabase;
let world: StoreWorld;
let reads: TelemetryReads;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await StoreWorld.open(database.url, NOW);
  reads = new TelemetryReads(world.config);
});

afterAll(async () => {
  await reads?.onModuleDestroy();
  await world?.close();
  await database?.drop();
});

describe('a heat map', () => {
  const heatmap = () =>
    new HeatmapQuery(reads, world.clock).run({ device: DEVICE, metric: 'wide_seconds', stepSeconds: 60 });

  /** One state of each of so many histograms, in one step of the picture. */
  async function addHistograms(from: number, to: number): Promise<void> {
    await world.sql.pool.query(
      `WITH made AS (
         INSERT INTO telemetry.series (device, run, release, probe, metric, labels, labels_digest)
         SELECT $1, $2, '1.0.0', 'wide', 'wide_seconds', jsonb_build_object('comm', n::text), decode(md5(n::text), 'hex')
         FROM generate_series($3::int, $4::int) n RETURNING id)
       INSERT INTO telemetry.hist (ts, series, sum, count, buckets) SELECT $5, id, 1, 1, '{1}' FROM made`,
      [DEVICE, RUN, from, to, new Date(NOW.getTime() - 60_000)],
    );
  }

  it('of more states than are read is refused, and never ends before its time without a word', async () => {
    // 40,000 buckets each: of so wide histograms a hundred are read.
    await world.sql.pool.query(
      `INSERT INTO telemetry.metric (probe, release, metric, type, unit, labels, bounds)
       SELECT 'wide', '1.0.0', 'wide_seconds', 'histogram', 's', '{comm}', array_agg(n) FROM generate_series(1, 39999) n`,
    );
    await addHistograms(1, 100);
    expect((await heatmap()).times).toHaveLength(15);
    await addHistograms(101, 101);
    await expect(heatmap()).rejects.toMatchObject({
      status: 422,
      code: 'QUERY_TOO_LARGE',
      message: expect.stringContaining('more than 100 states'),
    });
  });
});
