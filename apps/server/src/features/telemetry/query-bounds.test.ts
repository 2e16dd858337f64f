import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { FlameNode } from '@bpfleet/api';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { StoreWorld } from '../../../test/telemetry/store-world.js';
import { HeatmapQuery } from './query/heatmap.query.js';
import { ProfileQuery } from './query/profile.query.js';
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

describe('a profile', () => {
  const profile = () => new ProfileQuery(reads, world.clock).run({ device: DEVICE, probe: 'p', profile: 'cpu' });

  /** Stacks 1 to `stacks`, the first the heaviest, each of `depth` frames of its own, seen by `processes`. */
  async function addStacks(run: string, stacks: number, depth: number, processes: number): Promise<void> {
    await world.sql.pool.query(
      `INSERT INTO telemetry.stack (run, boot, map, id, device, frames)
       SELECT $1, 'b', 'm', n, $2, ARRAY(SELECT n * 10000 + f FROM generate_series(1, $4::int) f) FROM generate_series(1, $3::int) n`,
      [run, DEVICE, stacks, depth],
    );
    await world.sql.pool.query(
      `INSERT INTO telemetry.profile (ts, device, run, release, probe, profile, boot, stacks, kernel_stack, labels, count)
       SELECT $1, $2, $3, '1', 'p', 'cpu', 'b', 'm', n, jsonb_build_object('comm', 'c', 'pid', c::text), ($4::int - n + 1) * 1000
       FROM generate_series(1, $4::int) n, generate_series(1, $5::int) c`,
      [new Date(NOW.getTime() - 60_000), DEVICE, run, stacks, processes],
    );
  }

  const valueOf = (node: FlameNode, name: string): number =>
    node.name === name ? node.value : node.children.reduce((sum, child) => sum + valueOf(child, name), 0);

  afterEach(async () => {
    await world.sql.pool.query('TRUNCATE telemetry.stack, telemetry.profile');
  });

  it('reads the frames of the heaviest stacks and says what it left out', async () => {
    // With its process each takes 625 rows of the tree, and 800 of the 1,000 fit into half a million.
    await addStacks('rdeep', 1000, 624, 1);
    const { samples, root } = await profile();
    expect(samples).toBe(1000 * 500_500);
    expect(valueOf(root as FlameNode, '[left out]')).toBe(1000 * ((200 * 201) / 2));
  });

  it('counts a stack that processes share for each of them', async () => {
    // With its process 1,250 rows of the tree: 400 of 2,000 fit, though all are the same.
    await addStacks('rwide', 1, 1249, 2000);
    const { samples, root } = await profile();
    expect(samples).toBe(2_000_000);
    expect(valueOf(root as FlameNode, '[left out]')).toBe(1_600_000);
  });
});
