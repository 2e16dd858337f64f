import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import {
  counterSections,
  latencySections,
  LATENCY_VALUE_BYTES,
  openEventBytes,
  OPEN_EVENT_BYTES,
  profileSections,
} from '../../../test/telemetry/probe-fixture.js';
import {
  BOOTTIME_NS,
  FakeLink,
  sealBatch,
  StoreWorld,
  topicOf,
  type BatchOptions,
  type Fixture,
} from '../../../test/telemetry/store-world.js';
import type { IngestService } from './ingest.service.js';

const NOW = new Date('2026-11-22T12:00:00.000Z');
const RING = { kind: 'ring', map: 'events' } as const;

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

function events(number: number, pids: readonly number[], options: BatchOptions = {}): Buffer {
  const bytes = Buffer.concat(pids.map((pid) => openEventBytes({ tsNs: BOOTTIME_NS - 5_000_000_000n, pid })));
  return sealBatch(fixture, number, RING, pids.length, [{ stride: OPEN_EVENT_BYTES, bytes }], { now: NOW, ...options });
}

/** Sends and waits until everything is acknowledged, in an epoch of its own. */
async function send(epoch: number, batches: readonly Buffer[], numbers: readonly number[]): Promise<void> {
  for (const batch of batches) link.deliver(topicOf(fixture.device), batch);
  await link.acked(fixture.device, 'events', epoch, numbers);
}

const pidsOf = async (from: number, to: number) => {
  const { rows } = await world.sql.pool.query<{ pid: string }>(
    'SELECT pid FROM telemetry.watch_files_open WHERE pid BETWEEN $1 AND $2 ORDER BY pid',
    [from, to],
  );
  return rows.map(({ pid }) => Number(pid));
};

describe('events', () => {
  it('become rows with real columns and the time at which the kernel saw them', async () => {
    const record = openEventBytes({
      tsNs: BOOTTIME_NS - 1_500_000_000n,
      pid: 77,
      result: -2,
      path: '/etc/hosts',
      saddr: [10, 0, 0, 7],
    });
    await send(1, [sealBatch(fixture, 0, RING, 1, [{ stride: OPEN_EVENT_BYTES, bytes: record }], { now: NOW })], [0]);
    const { rows } = await world.sql.pool.query('SELECT * FROM telemetry.watch_files_open WHERE pid = 77');
    expect(rows).toEqual([
      expect.objectContaining({
        ts: new Date(NOW.getTime() - 1500),
        device: fixture.device,
        run: fixture.run,
        release: '1.0.0',
        result: -2,
        path: '/etc/hosts',
        saddr: '10.0.0.7',
      }),
    ]);
  });

  it('sent twice, at once and later, and out of order, are stored once', async () => {
    const epoch = 2;
    const batches = [3, 0, 2, 1].map((number) => events(number, [1000 + number], { epoch }));
    await send(epoch, [...batches, ...batches], [0, 1, 2, 3]);
    const seen = link.acks.length;
    for (const batch of batches) link.deliver(topicOf(fixture.device), batch);
    while (link.acks.length === seen) await link.published();
    expect(await pidsOf(1000, 1003)).toEqual([1000, 1001, 1002, 1003]);
    expect(link.acks.at(-1)?.ack).toMatchObject({ epoch, ranges: [[0, 3]] });
  });

  it('with a bad header are dropped and stop no other batch', async () => {
    const epoch = 3;
    const cut = events(1, [1101], { epoch }).subarray(0, 30);
    const dropped = service.counters.dropped.header ?? 0;
    await send(
      epoch,
      [events(0, [1100], { epoch }), cut, Buffer.from('rubbish'), events(2, [1102], { epoch })],
      [0, 2],
    );
    expect(await pidsOf(1100, 1102)).toEqual([1100, 1102]);
    expect(service.counters.dropped.header).toBe(dropped + 2);
    expect(link.isAcked(fixture.device, 'events', epoch, 1)).toBe(false);
  });

  it('under the topic of another stream are dropped', async () => {
    const epoch = 4;
    link.deliver(topicOf(fixture.device, 'maps'), events(0, [1200], { epoch }));
    await send(epoch, [events(1, [1201], { epoch })], [1]);
    expect(await pidsOf(1200, 1201)).toEqual([1201]);
    expect(service.counters.dropped.header_mismatch).toBe(1);
  });

  it('of an unknown run or another release are refused, acknowledged and on record', async () => {
    const epoch = 5;
    const unknownRun = events(0, [1300], { epoch, header: { run: 'rnosuchrun01' } });
    const unknownRelease = events(1, [1301], { epoch, header: { release: 'f'.repeat(64) } });
    await send(epoch, [unknownRun, unknownRelease, events(2, [1302], { epoch })], [0, 1, 2]);
    expect(await pidsOf(1300, 1302)).toEqual([1302]);
    const { rows } = await world.sql.pool.query(
      'SELECT settled::text, refused::text FROM telemetry.ledger WHERE device = $1 AND epoch = $2',
      [fixture.device, epoch],
    );
    expect(rows).toEqual([{ settled: '{[0,3)}', refused: '{[0,2)}' }]);
    expect(service.counters.refused).toMatchObject({ run_unknown: 1, release_mismatch: 1 });
  });

  it("of another device's run are refused", async () => {
    const thief = 'dotherdevice1';
    await world.addDevice(thief);
    link.deliver(topicOf(thief), events(0, [1400], { epoch: 1 }));
    await link.acked(thief, 'events', 1, [0]);
    expect(await pidsOf(1400, 1400)).toEqual([]);
    expect(service.counters.refused.run_of_another_device).toBe(1);
  });

  it('of a device that was revoked, and is not cut off, are refused', async () => {
    await world.sql.pool.query(`UPDATE "Device" SET status = 'revoked' WHERE id = $1`, [fixture.device]);
    try {
      world.clock.advance(60_001);
      link.deliver(topicOf(fixture.device), events(0, [1450], { epoch: 6_000 }));
      await link.acked(fixture.device, 'events', 6_000, [0]);
      expect(await pidsOf(1450, 1450)).toEqual([]);
    } finally {
      await world.sql.pool.query(`UPDATE "Device" SET status = 'active' WHERE id = $1`, [fixture.device]);
      world.clock.advance(-60_001);
    }
  });

  it('with a malformed body amid good ones are refused alone', async () => {
    const epoch = 6;
    const good = events(0, [1500], { epoch });
    const torn = Buffer.from(events(1, [1501], { epoch }));
    torn.fill(0xff, torn.length - 8);
    const bytes = openEventBytes({ tsNs: 0n, pid: 1502 });
    const lying = sealBatch(fixture, 2, RING, 9, [{ stride: OPEN_EVENT_BYTES, bytes }], { epoch, now: NOW });
    const elsewhere = sealBatch(
      fixture,
      3,
      { kind: 'ring', map: 'nowhere' },
      1,
      [{ stride: OPEN_EVENT_BYTES, bytes }],
      {
        epoch,
        now: NOW,
      },
    );
    await send(epoch, [good, torn, lying, elsewhere, events(4, [1504], { epoch })], [0, 1, 2, 3, 4]);
    expect(await pidsOf(1500, 1504)).toEqual([1500, 1504]);
    expect(service.counters.refused).toMatchObject({ body_malformed: 2, source_unknown: 1 });
  });

  it('with NUL, invalid UTF-8 and a time in 2099 or 1970 are stored within bounds', async () => {
    const epoch = 7;
    const year = 365n * 86_400n * 1_000_000_000n;
    const records = Buffer.concat([
      openEventBytes({ tsNs: BOOTTIME_NS + 73n * year, pid: 1600, path: 'a\0b' }),
      openEventBytes({ tsNs: 0n, pid: 1601, path: '\xff\xfe' }),
    ]);
    const header = { time: { bootId: 'b\0oot', boottimeNs: '0', monotonicNs: '0', realtimeNs: '0', trusted: false } };
    const of1970 = events(1, [1602], { epoch, header });
    await send(
      epoch,
      [sealBatch(fixture, 0, RING, 2, [{ stride: OPEN_EVENT_BYTES, bytes: records }], { epoch, now: NOW }), of1970],
      [0, 1],
    );
    const { rows } = await world.sql.pool.query<{ ts: Date; path: string }>(
      'SELECT ts, path FROM telemetry.watch_files_open WHERE pid BETWEEN 1600 AND 1602 ORDER BY pid',
    );
    expect(rows[0]).toEqual({ ts: new Date(NOW.getTime() + 3_600_000), path: 'a' });
    expect(rows[1]?.path).toContain('\ufffd');
    expect(rows[1]?.ts.getTime()).toBe(NOW.getTime() - 1_000_000);
    expect(rows[2]?.ts.getTime()).toBeLessThanOrEqual(NOW.getTime() + 3_600_000);
  });

  it('that PostgreSQL itself refuses are refused alone', async () => {
    const epoch = 10;
    await world.sql.pool.query('ALTER TABLE telemetry.ev_watch_files__open ADD CONSTRAINT unlucky CHECK (pid <> 1913)');
    const numbers = [0, 1, 2, 3, 4];
    await send(
      epoch,
      numbers.map((number) => events(number, [1910 + number], { epoch })),
      numbers,
    );
    await world.sql.pool.query('ALTER TABLE telemetry.ev_watch_files__open DROP CONSTRAINT unlucky');
    expect(await pidsOf(1910, 1914)).toEqual([1910, 1911, 1912, 1914]);
    expect(service.counters.refused.not_storable).toBe(1);
    const { rows } = await world.sql.pool.query(
      'SELECT refused::text FROM telemetry.ledger WHERE device = $1 AND epoch = $2',
      [fixture.device, epoch],
    );
    expect(rows).toEqual([{ refused: '{[3,4)}' }]);
  });

  it('that the device gave up are settled as lost, and not stored when they come after all', async () => {
    const epoch = 8;
    await send(epoch, [events(5, [1705], { epoch, header: { lost: [[2, 4]] } })], [5]);
    await send(epoch, [events(3, [1703], { epoch })], [3]);
    expect(await pidsOf(1700, 1705)).toEqual([1705]);
    const { rows } = await world.sql.pool.query(
      'SELECT settled::text, lost::text FROM telemetry.ledger WHERE device = $1 AND epoch = $2',
      [fixture.device, epoch],
    );
    expect(rows).toEqual([{ settled: '{[2,6)}', lost: '{[2,5)}' }]);
  });

  it('of a debug run go into the shared table', async () => {
    const run = 'rdebugrun001';
    await world.addRun(run, fixture.device, fixture.releaseId, 'debug');
    await send(9, [events(0, [1800], { epoch: 9, header: { run } })], [0]);
    expect(await pidsOf(1800, 1800)).toEqual([]);
    const { rows } = await world.sql.pool.query(
      'SELECT probe, event, fields FROM telemetry.debug_event WHERE run = $1',
      [run],
    );
    expect(rows).toEqual([
      { probe: 'watch_files', event: 'open', fields: expect.objectContaining({ pid: 1800, saddr: '127.0.0.1' }) },
    ]);
  });
});

describe('maps', () => {
  const maps = (
    number: number,
    map: string,
    sections: readonly { stride: number; bytes: Uint8Array }[],
    header = {},
  ) => {
    const count = (sections[0]?.bytes.length ?? 0) / (sections[0]?.stride ?? 1);
    return sealBatch(fixture, number, { kind: 'map', map }, count, sections, { stream: 'maps', header, now: NOW });
  };
  const deliver = async (batch: Buffer, number: number, stream: 'maps' | 'names' = 'maps') => {
    link.deliver(topicOf(fixture.device, stream), batch);
    await link.acked(fixture.device, stream, 1, [number]);
  };

  it('of counters become one sample a series, with a null for what went', async () => {
    const [keys, values] = counterSections([
      [1, 10n],
      [2, 20n],
    ]);
    const gone = Buffer.alloc(4);
    gone.writeUInt32LE(9);
    await deliver(
      maps(0, 'opens', [
        { stride: 4, bytes: keys },
        { stride: 8, bytes: values },
        { stride: 4, bytes: gone },
      ]),
      0,
    );
    const { rows } = await world.sql.pool.query(
      `SELECT labels, value FROM telemetry.sample JOIN telemetry.series s ON s.id = series WHERE metric = 'opens_total' ORDER BY labels`,
    );
    expect(rows).toEqual([
      { labels: { interface: '1' }, value: 10 },
      { labels: { interface: '2' }, value: 20 },
      { labels: { interface: '9' }, value: null },
    ]);
  });

  it('take names of the device for labels, once it has sent them', async () => {
    const json = Buffer.from(JSON.stringify([{ kind: 'ifname', id: '7', name: 'eth\u00007' }]));
    const names = sealBatch(fixture, 0, { kind: 'names', map: '' }, 1, [{ stride: 1, bytes: json }], {
      stream: 'names',
      now: NOW,
    });
    await deliver(names, 0, 'names');
    world.clock.advance(11_000);
    const [keys, values] = counterSections([[7, 1n]]);
    await deliver(
      maps(1, 'opens', [
        { stride: 4, bytes: keys },
        { stride: 8, bytes: values },
      ]),
      1,
    );
    expect(
      await world.count(
        `SELECT count(*) FROM telemetry.series WHERE labels->>'interface' = 'eth' || chr(65533) || '7'`,
      ),
    ).toBe(1);
  });

  it('of histograms keep sum, count and buckets', async () => {
    const cpus = 2;
    const [keys, values] = latencySections([{ comm: 'sh', slots: [1, 2, 3, 0, 0, 0, 0, 4], totalUs: 5000 }], cpus);
    await deliver(
      maps(
        2,
        'latencies',
        [
          { stride: 16, bytes: keys },
          { stride: LATENCY_VALUE_BYTES * cpus, bytes: values },
        ],
        { cpus },
      ),
      2,
    );
    const { rows } = await world.sql.pool.query('SELECT sum, count::int, buckets::int[] FROM telemetry.hist');
    expect(rows).toEqual([{ sum: 0.005, count: 10, buckets: [1, 2, 3, 0, 0, 0, 0, 4] }]);
  });

  it('with entries of another size are refused', async () => {
    const refused = service.counters.refused.body_malformed ?? 0;
    await deliver(
      maps(3, 'opens', [
        { stride: 2, bytes: Buffer.alloc(2) },
        { stride: 8, bytes: Buffer.alloc(8) },
      ]),
      3,
    );
    expect(service.counters.refused.body_malformed).toBe(refused + 1);
  });

  it('of profiles and stacks are kept for the flame graph', async () => {
    const [keys, values] = profileSections([{ pid: 5, kernel: 3, user: -14, comm: 'sh', count: 12n }]);
    await deliver(
      maps(4, 'counts', [
        { stride: 28, bytes: keys },
        { stride: 8, bytes: values },
      ]),
      4,
    );
    const entries = Buffer.alloc(8);
    entries.writeUInt32LE(3, 0);
    entries.writeUInt32LE(2, 4);
    const addresses = Buffer.alloc(16);
    addresses.writeBigUInt64LE(0xffffffff81000010n, 0);
    addresses.writeBigUInt64LE(0xffffffff81000020n, 8);
    const sections = [
      { stride: 8, bytes: entries },
      { stride: 8, bytes: addresses },
    ];
    await deliver(
      sealBatch(fixture, 5, { kind: 'stacks', map: 'stacks' }, 1, sections, { stream: 'maps', now: NOW }),
      5,
    );
    const profile = await world.sql.pool.query(
      'SELECT kernel_stack::int, user_stack, labels, count::int FROM telemetry.profile',
    );
    expect(profile.rows).toEqual([{ kernel_stack: 3, user_stack: null, labels: { comm: 'sh', pid: '5' }, count: 12 }]);
    const stack = await world.sql.pool.query('SELECT id::int, frames FROM telemetry.stack');
    expect(stack.rows).toEqual([{ id: 3, frames: ['-2130706416', '-2130706400'] }]);
  });

  it('of stacks deeper than the map has room for are refused', async () => {
    const refused = service.counters.refused.body_malformed ?? 0;
    const frames = 1016 / 8 + 1;
    const sections = [
      { stride: 8, bytes: Buffer.from(new Uint32Array([9, frames]).buffer) },
      { stride: 8, bytes: Buffer.alloc(frames * 8, 1) },
    ];
    const source = { kind: 'stacks', map: 'stacks' } as const;
    await deliver(sealBatch(fixture, 6, source, 1, sections, { stream: 'maps', now: NOW }), 6);
    expect(service.counters.refused.body_malformed).toBe(refused + 1);
    expect(await world.count('SELECT count(*) FROM telemetry.stack WHERE id = 9')).toBe(0);
  });
});

it('works with the rights of the ingest role', async () => {
  const { rows } = await world.sql.pool.query(
    `SELECT has_schema_privilege('bpfleet_ingest', 'telemetry', 'CREATE') AS ddl,
       has_table_privilege('bpfleet_ingest', '"User"', 'SELECT') AS users,
       has_table_privilege('bpfleet_ingest', 'telemetry.sample', 'DELETE, UPDATE') AS rewrite,
       has_table_privilege('bpfleet_reader', 'telemetry.watch_files_open', 'SELECT') AS reader,
       (SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'bpfleet-ingest'
          AND datname = current_database()) AS writers`,
  );
  expect(rows).toEqual([{ ddl: false, users: false, rewrite: false, reader: true, writers: 1 }]);
});
