import { mkdtempSync, chmodSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { freePort, startEmbeddedPostgres, type EmbeddedPostgres } from '@bpfleet/embedded';
import { createTestDatabase } from '@bpfleet/testkit';
import { counterSections, openEventBytes, OPEN_EVENT_BYTES } from '../../../test/telemetry/probe-fixture.js';
import {
  BOOTTIME_NS,
  FakeLink,
  sealBatch,
  StoreWorld,
  topicOf,
  type Fixture,
} from '../../../test/telemetry/store-world.js';

const RECORDS = 50;
const cleanUp: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

function eventBatch(fixture: Fixture, number: number): Buffer {
  const records = Array.from({ length: RECORDS }, (_, index) =>
    openEventBytes({ tsNs: BOOTTIME_NS, pid: number * RECORDS + index }),
  );
  const sections = [{ stride: OPEN_EVENT_BYTES, bytes: Buffer.concat(records) }];
  return sealBatch(fixture, number, { kind: 'ring', map: 'events' }, RECORDS, sections);
}

function mapBatch(fixture: Fixture, number: number): Buffer {
  const [keys, values] = counterSections(
    Array.from({ length: 20 }, (_, key): [number, bigint] => [key, BigInt(number)]),
  );
  const sections = [
    { stride: 4, bytes: keys },
    { stride: 8, bytes: values },
  ];
  return sealBatch(fixture, number, { kind: 'map', map: 'opens' }, 20, sections, { stream: 'maps' });
}

async function expectExactlyOnce(world: StoreWorld, batches: number): Promise<void> {
  const rows = await world.sql.pool.query<{ all: number; distinct: number }>(
    'SELECT count(*)::int AS all, count(DISTINCT pid)::int AS distinct FROM telemetry.watch_files_open',
  );
  expect(rows.rows).toEqual([{ all: batches * RECORDS, distinct: batches * RECORDS }]);
  const samples = await world.sql.pool.query<{ all: number; series: number }>(
    'SELECT count(*)::int AS all, count(DISTINCT series)::int AS series FROM telemetry.sample',
  );
  expect(samples.rows).toEqual([{ all: batches * 20, series: 20 }]);
  const tally = await world.sql.pool.query(
    'SELECT sum(events)::int AS events, sum(samples)::int AS samples FROM telemetry.tally',
  );
  expect(tally.rows).toEqual([{ events: batches * RECORDS, samples: batches * 20 }]);
}

const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);

describe('ingest', () => {
  it('by two replicas that get the same batches stores each once', async () => {
    const database = await createTestDatabase();
    cleanUp.push(() => database.drop());
    const world = await StoreWorld.open(database.url);
    cleanUp.push(() => world.close());
    const fixture = await world.fixture();
    const link = new FakeLink();
    const services = [await world.ingest(link), await world.ingest(link)];
    const batches = 60;
    for (const number of numbers(batches)) {
      link.deliver(topicOf(fixture.device, 'events'), eventBatch(fixture, number));
      link.deliver(topicOf(fixture.device, 'maps'), mapBatch(fixture, number));
      // Let transactions of different sizes begin in between.
      if (number % 20 === 19) await link.published();
    }
    await link.acked(fixture.device, 'events', 1, numbers(batches));
    await link.acked(fixture.device, 'maps', 1, numbers(batches));
    await expectExactlyOnce(world, batches);
    const stored = services.map(({ counters }) => counters.stored);
    expect((stored[0] as number) + (stored[1] as number)).toBe(batches * 2);
  });

  it('while PostgreSQL is killed and comes back loses nothing, doubles nothing and acknowledges nothing in between', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'bpfleet-survival-'));
    chmodSync(dataDir, 0o711);
    cleanUp.push(() => rmSync(dataDir, { recursive: true, force: true }));
    const port = await freePort();
    const options = { dataDir, port, database: 'survival', durable: true };
    let postgres: EmbeddedPostgres = await startEmbeddedPostgres(options);
    cleanUp.push(() => postgres.stop());
    const world = await StoreWorld.open(postgres.url);
    cleanUp.push(() => world.close());
    const fixture = await world.fixture();
    const link = new FakeLink();
    const service = await world.ingest(link);
    const deliver = (from: number, to: number) => {
      for (const number of numbers(to).slice(from)) {
        link.deliver(topicOf(fixture.device, 'events'), eventBatch(fixture, number));
        link.deliver(topicOf(fixture.device, 'maps'), mapBatch(fixture, number));
      }
    };

    deliver(0, 20);
    await link.published();
    deliver(20, 40);
    process.kill(postgres.pid, 'SIGKILL');
    await postgres.exited;
    const ackedBefore = link.acks.length;
    deliver(40, 60);
    // A device that hears nothing sends again.
    deliver(0, 60);
    while (service.counters.retries === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(link.acks.length).toBe(ackedBefore);

    postgres = await startEmbeddedPostgres(options);
    await link.acked(fixture.device, 'events', 1, numbers(60));
    await link.acked(fixture.device, 'maps', 1, numbers(60));
    await expectExactlyOnce(world, 60);
  }, 120_000);
});
