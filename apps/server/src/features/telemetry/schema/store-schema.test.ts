import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readObject } from '@bpfleet/btf';
import { parseManifest } from '@bpfleet/probe';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { fixtureManifest, fixtureObject, fixtureObjectChanged } from '../../../../test/telemetry/probe-fixture.js';
import { StoreWorld } from '../../../../test/telemetry/store-world.js';
import { TelemetryMaintenance } from './maintenance.js';
import { migrateTelemetry } from './migrate.js';
import { partitionsPerTable, partitionsWanted } from './partition-plan.js';
import { assertRetentionFits } from './partitions.js';
import { TelemetrySchema } from './schema.module.js';

const NOW = new Date('2026-11-22T12:00:00.000Z');
const DAY_MS = 86_400_000;
const TABLE = 'ev_watch_files__open';

let database: TestDatabase;
let world: StoreWorld;
let maintenance: TelemetryMaintenance;
let storeAheadMs = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await StoreWorld.open(database.url, NOW);
  // PostgreSQL's clock cannot be set: this one goes with the server's, and for a test beside it.
  maintenance = new TelemetryMaintenance(world.sql, world.clock, world.config, {
    now: async () => new Date(world.clock.now().getTime() + storeAheadMs),
  });
  await maintenance.runOnce();
});

afterAll(async () => {
  await world?.close();
  await database?.drop();
});

const release = (version: string, object: Uint8Array) => ({
  releaseId: version,
  manifest: parseManifest(fixtureManifest(version)),
  object: readObject(object),
});

async function columnsOf(relation: string): Promise<string[]> {
  const { rows } = await world.sql.pool.query<{ column: string }>(
    `SELECT attname || ' ' || format_type(atttypid, NULL) AS column FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum`,
    [`telemetry.${relation}`],
  );
  return rows.map(({ column }) => column);
}

async function partitionsOf(table: string): Promise<string[]> {
  const { rows } = await world.sql.pool.query<{ name: string }>(
    'SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = to_regclass($1) ORDER BY 1',
    [`telemetry.${table}`],
  );
  return rows.map(({ name }) => name.replace('telemetry.', ''));
}

/** A round on each day, as of a server that is on. */
async function daysPass(days: number): Promise<string[]> {
  const dropped: string[] = [];
  for (let day = 0; day < days; day += 1) {
    world.clock.advance(DAY_MS);
    dropped.push(...(await maintenance.runOnce()).dropped);
  }
  return dropped;
}

describe('migrations', () => {
  it('are applied once, by however many servers start', async () => {
    const clients = await Promise.all([world.sql.pool.connect(), world.sql.pool.connect()]);
    try {
      expect(await Promise.all(clients.map((client) => migrateTelemetry(client)))).toEqual([[], []]);
    } finally {
      for (const client of clients) client.release();
    }
  });

  it('are refused when an applied one was edited', async () => {
    await world.sql.pool.query(`UPDATE telemetry.migration SET checksum = 'other'`);
    const client = await world.sql.pool.connect();
    try {
      await expect(migrateTelemetry(client)).rejects.toMatchObject({ code: 'TELEMETRY_MIGRATION' });
    } finally {
      client.release();
      await world.sql.pool.query('DROP SCHEMA telemetry CASCADE');
      await world.schema.onModuleInit();
    }
  });
});

describe('event tables', () => {
  it('are made by several servers at once and only grow', async () => {
    await Promise.all([1, 2, 3].map(() => world.tables.ensureFor(release('1.0.0', fixtureObject()))));
    const fixed = ['ts timestamp with time zone', 'device text', 'run text', 'release text'];
    const first = [...fixed, 'pid bigint', 'result integer', 'path text', 'saddr inet'];
    expect(await columnsOf(TABLE)).toEqual(first);
    await world.tables.ensureFor(release('2.0.0', fixtureObjectChanged()));
    const second = [...first, 'pid__2 numeric', 'mode bigint'];
    expect(await columnsOf(TABLE)).toEqual(second);
    expect(await columnsOf('watch_files_open')).toEqual(second);
    await world.tables.ensureFor(release('1.0.0', fixtureObject()));
    expect(await columnsOf(TABLE)).toEqual(second);
  });

  it('may be 200 at most', async () => {
    await world.sql.pool.query(
      `INSERT INTO telemetry.event_table SELECT 'full', 'e' || n, 'ev_full_' || n, 'full_' || n FROM generate_series(1, 199) n`,
    );
    const manifest = parseManifest(fixtureManifest('1.0.0').replace('name: watch_files', 'name: one_too_many'));
    const ensuring = world.tables.ensureFor({ releaseId: 'x', manifest, object: readObject(fixtureObject()) });
    await expect(ensuring).rejects.toMatchObject({ code: 'TELEMETRY_LIMIT' });
    expect(await columnsOf('ev_one_too_many__open')).toEqual([]);
    await world.sql.pool.query(`DELETE FROM telemetry.event_table WHERE probe = 'full'`);
  });
});

describe('partitions', () => {
  it('cover the retention and two weeks ahead', async () => {
    const names = await partitionsOf(TABLE);
    expect(names[0]).toBe(`${TABLE}_p20261019`);
    expect(names.at(-1)).toBe(`${TABLE}_p20261130`);
    expect(await partitionsOf('sample')).toHaveLength(names.length);
  });

  it('are made ahead while a reader holds the table, and dropped when all of their rows are too old', async () => {
    await world.sql.pool.query(`INSERT INTO telemetry.sample VALUES ($1, 1, 1), ($2, 1, 2)`, [
      new Date(NOW.getTime() - 30 * DAY_MS),
      NOW,
    ]);
    await daysPass(3);
    expect((await partitionsOf('hist'))[0]).toBe('hist_p20261019');
    world.clock.advance(DAY_MS);
    const reader = await world.sql.pool.connect();
    try {
      await reader.query('BEGIN');
      await reader.query('SELECT count(*) FROM telemetry.hist');
      await expect(maintenance.runOnce()).rejects.toMatchObject({ code: 'TELEMETRY_DDL_BUSY' });
      await reader.query('ROLLBACK');
    } finally {
      reader.release();
    }
    expect((await maintenance.runOnce()).dropped).toContain('hist_p20261019');
    await daysPass(10);
    expect((await partitionsOf('hist')).at(-1)).toBe('hist_p20261214');
    expect((await partitionsOf('sample')).at(-1)).toBe('sample_p20261214');
    expect((await partitionsOf('sample'))[0]).toBe('sample_p20261102');
    expect(await world.count('SELECT count(*) FROM telemetry.sample')).toBe(1);
    expect(await world.count(`SELECT count(*) FROM pg_class WHERE relname = 'sample_p20261019'`)).toBe(0);
  }, 60_000);

  it('that a crash left detached are dropped in the next round', async () => {
    await world.sql.pool.query('ALTER TABLE telemetry.hist DETACH PARTITION telemetry.hist_p20261102');
    const dropped = await daysPass(21);
    expect(dropped).toEqual(expect.arrayContaining(['hist_p20261102', 'sample_p20261102']));
  });
});

const problems = async () => {
  const { rows } = await world.sql.pool.query<{ problems: string[] }>('SELECT problems FROM telemetry.upkeep');
  return rows[0]?.problems ?? [];
};

describe('a clock', () => {
  it('that is a year ahead for some hours takes nothing away', async () => {
    const before = await partitionsOf('sample');
    world.clock.advance(365 * DAY_MS);
    expect((await maintenance.runOnce()).dropped).toEqual([]);
    expect(await problems()).toEqual([expect.stringContaining('if that is not the time, set the clocks')]);
    // What comes now has a place all the same.
    expect((await partitionsOf('sample')).length).toBeGreaterThan(before.length);
    world.clock.advance(-365 * DAY_MS);
    expect((await maintenance.runOnce()).dropped).toEqual([]);
    expect(await partitionsOf('sample')).toEqual(expect.arrayContaining(before));
    expect(await problems()).toEqual([]);
  });

  it('that PostgreSQL contradicts stops all deleting', async () => {
    const before = await partitionsOf('sample');
    storeAheadMs = 2 * DAY_MS;
    expect(await daysPass(21)).toEqual([]);
    expect(await problems()).toEqual([expect.stringContaining('nothing is deleted')]);
    storeAheadMs = 0;
    expect(await partitionsOf('sample')).toEqual(expect.arrayContaining(before));
    // Three weeks of rounds that deleted nothing are made up for by and by, one day in each.
    const dropped: string[] = [];
    for (let round = 0; round < 22; round += 1) dropped.push(...(await maintenance.runOnce()).dropped);
    expect(dropped).toContain(before[0]);
    expect(await problems()).toEqual([]);
  });
});

it('a retention for which there cannot be enough partitions is refused at the start, with the one that fits', async () => {
  const start = (retentionDays: number) =>
    new TelemetrySchema(world.sql, world.clock, { ...world.config, retentionDays }).onModuleInit();
  // sample, hist, profile, debug_event, and the one event table of this store.
  await expect(start(3650)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(
      '3650 days take 2625 partitions for the 5 tables of this store, which may have 2000',
    ),
  });
  await expect(start(3650)).rejects.toThrow('at most 2778 days fit');
  expect(() => assertRetentionFits(2778, 5)).not.toThrow();
  expect(() => assertRetentionFits(2779, 5)).toThrow('at most 2778');
  expect(() => assertRetentionFits(30, 204)).not.toThrow();
  for (let day = 0; day < 7; day += 1) {
    const now = new Date(NOW.getTime() + day * DAY_MS);
    expect(partitionsWanted('t', now, 31).length).toBeLessThanOrEqual(partitionsPerTable(30));
  }
});

it('a store that is full makes room with what is old before it asks for more', async () => {
  const [oldest] = await partitionsOf('sample');
  const full = await world.count(
    `SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind = 'r'`,
  );
  await world.sql.pool.query('CREATE TABLE telemetry.filler ()');
  await world.sql.pool.query(
    `DO $$ BEGIN FOR n IN 1..${2000 - full} LOOP EXECUTE format('CREATE TABLE telemetry.filler_%s () INHERITS (telemetry.filler)', n); END LOOP; END $$`,
  );
  // Without those that the clock which was a year ahead has left.
  const newest = async () => (await partitionsOf('sample')).filter((name) => name < 'sample_p202706').at(-1);
  const before = await newest();
  try {
    // A new week begins some days before an old one is past its retention: until then there is no room, two weeks ahead.
    for (let day = 0; day < 7; day += 1) {
      world.clock.advance(DAY_MS);
      await world.schema.onModuleInit();
      await maintenance.runOnce().catch((error: unknown) => expect(error).toMatchObject({ code: 'TELEMETRY_LIMIT' }));
    }
    expect(await problems()).toEqual([]);
    expect(await partitionsOf('sample')).not.toContain(oldest);
    expect(await newest()).not.toBe(before);
  } finally {
    await world.sql.pool.query('DROP TABLE telemetry.filler CASCADE');
  }
}, 120_000);

it('folds the tallies of writers that have gone', async () => {
  await world.sql.pool.query(
    `INSERT INTO telemetry.tally VALUES ('a', 1, 2, now(), now(), '2020-01-01'), ('b', 10, 20, now(), now(), '2020-01-01'),
       ('alive', 100, 200, now(), now(), '2100-01-01')`,
  );
  await maintenance.runOnce();
  const { rows } = await world.sql.pool.query(
    'SELECT writer, samples::int, events::int FROM telemetry.tally ORDER BY writer',
  );
  expect(rows).toEqual([
    { writer: 'alive', samples: 100, events: 200 },
    { writer: 'folded', samples: 11, events: 22 },
  ]);
});
