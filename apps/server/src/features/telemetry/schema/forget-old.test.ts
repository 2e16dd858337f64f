import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import {
  BOOTTIME_NS,
  FakeLink,
  sealBatch,
  StoreWorld,
  topicOf,
  type Fixture,
} from '../../../../test/telemetry/store-world.js';
import { Dictionaries } from '../../ingest/write/dictionaries.js';
import { blocksOfRound } from './forget-old.js';
import { TelemetryMaintenance } from './maintenance.js';
import { StoreTime } from './upkeep.js';

const HOUR_MS = 3_600_000;
const KSYM = { kind: 'ksym', id: '18446744071578845200', name: 'do_syscall_64' };
const IFNAME = { kind: 'ifname', id: '2', name: 'eth0' };

let database: TestDatabase;
let world: StoreWorld;
let fixture: Fixture;
let link: FakeLink;

beforeAll(async () => {
  database = await createTestDatabase();
  // PostgreSQL's own clock marks what was seen, so this one begins with it.
  world = await StoreWorld.open(database.url);
  fixture = await world.fixture();
  link = new FakeLink();
  await world.ingest(link);
});

afterAll(async () => {
  await world?.close();
  await database?.drop();
});

let sent = 0;

async function send(stream: 'maps' | 'names', bootId: string, names: readonly object[]): Promise<void> {
  const now = world.clock.now();
  const realtimeNs = String(BigInt(now.getTime()) * 1_000_000n);
  const clocks = { boottimeNs: String(BOOTTIME_NS), monotonicNs: String(BOOTTIME_NS), realtimeNs, trusted: true };
  const stacks = [
    { stride: 8, bytes: Buffer.from(new Uint32Array([3, 1]).buffer) },
    { stride: 8, bytes: Buffer.from(new BigUint64Array([BigInt(KSYM.id)]).buffer) },
  ];
  const text = [{ stride: 1, bytes: Buffer.from(JSON.stringify(names)) }];
  const source =
    stream === 'names' ? ({ kind: 'names', map: '' } as const) : ({ kind: 'stacks', map: 'stacks' } as const);
  const header = { time: { bootId, ...clocks } };
  const number = sent++;
  const sections = stream === 'names' ? text : stacks;
  const count = stream === 'names' ? names.length : 1;
  link.deliver(
    topicOf(fixture.device, stream),
    sealBatch(fixture, number, source, count, sections, { stream, header, now }),
  );
  await link.acked(fixture.device, stream, 1, [number]);
}

const rowsOf = async (what: string) => {
  const { rows } = await world.sql.pool.query<{ text: string }>(
    `SELECT ${what} AS text FROM telemetry.${what.includes('kind') ? 'name' : 'stack'} ORDER BY 1`,
  );
  return rows.map(({ text }) => text);
};

it('forgets the stacks and names of a boot that was not heard of for the retention, and keeps what is used', async () => {
  for (const boot of ['boot-old', 'boot-live']) {
    await send('maps', boot, []);
    await send('names', boot, [KSYM, IFNAME]);
  }
  const days = world.config.retentionDays + 2;
  for (const table of ['stack', 'name']) {
    await world.sql.pool.query(`UPDATE telemetry.${table} SET seen_at = now() - make_interval(days => ${days})`);
  }
  world.clock.advance(7 * HOUR_MS);
  // An agent sends stacks again and again, interfaces too, but the name of an address once.
  await send('maps', 'boot-live', []);
  await send('names', 'boot-live', [IFNAME]);
  await new TelemetryMaintenance(world.sql, world.clock, world.config, new StoreTime()).runOnce();
  expect(await rowsOf('boot')).toEqual(['boot-live']);
  expect(await rowsOf(`boot || ' ' || kind`)).toEqual(['boot-live ifname', 'boot-live ksym']);
});

it('marks what is sent again once a day and not each time', async () => {
  await send('maps', 'boot-live', []);
  const marked = await rowsOf('seen_at::text');
  await send('maps', 'boot-live', []);
  expect(await rowsOf('seen_at::text')).toEqual(marked);
});

it('keeps as many stacks of a run and names of a device as there is room for, and counts the others', async () => {
  const dictionaries = new Dictionaries(() => 0, { stacksPerRunMax: 3, namesPerDeviceMax: 2 });
  const stack = (id: number, frames = [1n]) => ({
    run: 'rhostile0001',
    boot: `b${id}`,
    map: 'm',
    id,
    device: 'dh',
    frames,
  });
  const name = (id: number) => ({ device: 'dh', boot: `b${id}`, kind: 'ksym', id: String(id), name: 'n' });
  const store = (stacks: ReturnType<typeof stack>[], names: ReturnType<typeof name>[]) =>
    world.sql.withTransaction((client) => dictionaries.store(client, { stacks, names }));
  expect(await store([stack(1), stack(2)], [name(1)])).toEqual({ stacksDropped: 0, namesDropped: 0 });
  expect(await store([stack(3), stack(4), stack(5)], [name(2), name(3)])).toEqual({
    stacksDropped: 2,
    namesDropped: 1,
  });
  // What is there already is kept up to date all the same.
  expect(await store([stack(1, [7n]), stack(6)], [name(1)])).toEqual({ stacksDropped: 1, namesDropped: 0 });
  const { rows } = await world.sql.pool.query(
    `SELECT id::int, frames::int[] FROM telemetry.stack WHERE device = 'dh' ORDER BY id`,
  );
  expect(rows).toEqual([
    { id: 1, frames: [7] },
    { id: 2, frames: [1] },
    { id: 3, frames: [1] },
  ]);
  expect(await world.count(`SELECT count(*) FROM telemetry.name WHERE device = 'dh'`)).toBe(2);
});

it('looks through a table of any size in bounded steps', () => {
  const hour = (number: number) => new Date(number * HOUR_MS + 1);
  const rounds = [0, 1, 2, 3].map((number) => [...blocksOfRound(300_000, hour(number))]);
  expect(rounds[0]).toEqual(rounds[3]);
  const all = rounds.slice(0, 3).flat();
  expect(all[0]?.[0]).toBe(0);
  expect(all.at(-1)?.[1]).toBe(300_000);
  for (const [index, [from, to]] of all.entries()) {
    expect(to - from).toBeLessThanOrEqual(4096);
    if (index > 0) expect(from).toBe(all[index - 1]?.[1]);
  }
  expect([...blocksOfRound(0, hour(5))]).toEqual([]);
});
