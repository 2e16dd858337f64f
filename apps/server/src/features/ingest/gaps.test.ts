import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { counterSections, openEventBytes, OPEN_EVENT_BYTES } from '../../../test/telemetry/probe-fixture.js';
import {
  BOOTTIME_NS,
  FakeLink,
  sealBatch,
  StoreWorld,
  topicOf,
  type Fixture,
} from '../../../test/telemetry/store-world.js';
import { storeHealth } from '../telemetry/index.js';
import type { IngestService } from './ingest.service.js';
import { fallsInto, gapOf } from './write/gaps.js';

const NOW = new Date('2026-11-22T12:00:00.000Z');
const DAY_MS = 86_400_000;

let database: TestDatabase;
let world: StoreWorld;
let fixture: Fixture;
let link: FakeLink;
let service: IngestService;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await StoreWorld.open(database.url, NOW);
  fixture = await world.fixture();
  link = new FakeLink();
  service = await world.ingest(link);
});

afterAll(async () => {
  await world?.close();
  await database?.drop();
});

function sendMap(number: number, at: Date): void {
  const [keys, values] = counterSections([[number, 1n]]);
  const sections = [
    { stride: 4, bytes: keys },
    { stride: 8, bytes: values },
  ];
  const batch = sealBatch(fixture, number, { kind: 'map', map: 'opens' }, 1, sections, { stream: 'maps', now: at });
  link.deliver(topicOf(fixture.device, 'maps'), batch);
}

function sendEvent(number: number): void {
  const sections = [{ stride: OPEN_EVENT_BYTES, bytes: openEventBytes({ tsNs: BOOTTIME_NS, pid: number }) }];
  const batch = sealBatch(fixture, number, { kind: 'ring', map: 'events' }, 1, sections, { now: world.clock.now() });
  link.deliver(topicOf(fixture.device), batch);
}

const maps = (numbers: readonly number[]) => link.acked(fixture.device, 'maps', 1, numbers);
const events = (numbers: readonly number[]) => link.acked(fixture.device, 'events', 1, numbers);

describe('while a table lacks the partition of this week', () => {
  it('batches for it stay with their devices, and all others are stored', async () => {
    await world.sql.pool.query('DROP TABLE telemetry.sample_p20261116');
    sendMap(0, NOW);
    sendEvent(0);
    sendMap(1, NOW);
    sendMap(2, new Date(NOW.getTime() - 8 * DAY_MS));
    await events([0]);
    await maps([2]);
    expect(link.isAcked(fixture.device, 'maps', 1, 0)).toBe(false);
    expect(link.isAcked(fixture.device, 'maps', 1, 1)).toBe(false);
    expect(service.counters).toMatchObject({ setAside: 2, retries: 0 });
    expect(await world.count('SELECT count(*) FROM telemetry.sample')).toBe(1);
    const { rows } = await world.sql.pool.query(`SELECT settled::text FROM telemetry.ledger WHERE stream = 'maps'`);
    expect(rows).toEqual([{ settled: '{[2,3)}' }]);
    // What was told comes after the acknowledgement.
    sendEvent(7);
    await events([7]);
    expect(await storeHealth(world.sql.pool, 5000)).toMatchObject({
      oldestUnwrittenSeconds: expect.any(Number),
      tablesWithoutRoom: ['sample'],
    });
  });

  it('they are stored once when it is there and they come again', async () => {
    await world.schema.onModuleInit();
    world.clock.advance(30_000);
    for (const number of [0, 1, 2]) sendMap(number, NOW);
    await maps([0, 1, 2]);
    expect(await world.count('SELECT count(*) FROM telemetry.sample')).toBe(3);
    expect(service.counters.setAside).toBe(2);
    world.clock.advance(5 * 60_000);
    for (const number of [20, 21]) {
      sendEvent(number);
      await events([number]);
    }
    expect(await storeHealth(world.sql.pool, 5000)).toEqual({
      oldestUnwrittenSeconds: null,
      tablesWithoutRoom: [],
      problems: [],
    });
  });

  it('they are tried again while it is not there', async () => {
    await world.sql.pool.query('DROP TABLE telemetry.sample_p20261116');
    for (const round of [1, 2, 3]) {
      sendMap(10, NOW);
      sendEvent(round);
      await events([round]);
      world.clock.advance(30_000);
    }
    expect(service.counters).toMatchObject({ setAside: 5, retries: 0 });
    await world.schema.onModuleInit();
    sendMap(10, NOW);
    await maps([10]);
  });
});

describe('a gap', () => {
  const error = (detail?: string) => ({ code: '23514', routine: 'ExecFindPartition', table: 'sample', detail });
  const micros = (text: string) => Date.parse(text) * 1000;

  it('is the week of the row that found no partition', () => {
    const week = { fromMicros: micros('2026-11-16T00:00:00Z'), toMicros: micros('2026-11-23T00:00:00Z') };
    const detail = (ts: string) => `Partition key of the failing row contains (ts) = (${ts}).`;
    expect(gapOf(error(detail('2026-11-22 12:00:00+00')))).toEqual({ table: 'sample', ...week });
    expect(gapOf(error(detail('2026-11-23 05:29:59.999999+05:30')))).toEqual({ table: 'sample', ...week });
    expect(gapOf(error(detail('22/11/2026 12:00:00 CET')))).toEqual({
      table: 'sample',
      fromMicros: -Infinity,
      toMicros: Infinity,
    });
    expect(gapOf({ code: '23514', message: 'violates check constraint', table: 'sample' })).toBeUndefined();
  });

  it('is touched by a batch with rows of its table and time', () => {
    const gap = { table: 'sample', fromMicros: 100, toMicros: 200 };
    const touched = (table: string, fromMicros: number, toMicros: number) =>
      fallsInto(gap, { tables: new Set([table]), fromMicros, toMicros });
    expect(touched('sample', 50, 99)).toBe(false);
    expect(touched('sample', 50, 100)).toBe(true);
    expect(touched('sample', 199, 300)).toBe(true);
    expect(touched('sample', 200, 300)).toBe(false);
    expect(touched('hist', 100, 200)).toBe(false);
  });
});
