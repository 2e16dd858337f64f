import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { EventsResponse, FlameNode, HeatmapResponse, MetricInfo, Overview, SeriesResponse } from '@bpfleet/api';
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
  type Fixture,
} from '../../../test/telemetry/store-world.js';
import { Config } from '../../config/config.js';
import { contractValidation } from '../../http/validation.pipe.js';
import { ProblemFilter } from '../../http/problem.filter.js';
import { Clock } from '../../platform/clock.js';
import { TelemetryQueryModule } from './query/query.module.js';

const NOW = new Date('2026-11-22T12:00:00.000Z');
const DEBUG_RUN = 'rdebugrun001';

let database: TestDatabase;
let world: StoreWorld;
let fixture: Fixture;
let app: NestFastifyApplication;
let origin: string;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await StoreWorld.open(database.url, NOW);
  fixture = await world.fixture();
  await world.addRun(DEBUG_RUN, fixture.device, fixture.releaseId, 'debug');
  const link = new FakeLink();
  await world.ingest(link);
  const sent = { events: 0, maps: 0, names: 0 };
  for (const [stream, batch] of history()) {
    link.deliver(topicOf(fixture.device, stream), batch);
    sent[stream] += 1;
  }
  for (const stream of ['events', 'maps', 'names'] as const) {
    await link.acked(
      fixture.device,
      stream,
      1,
      Array.from({ length: sent[stream] }, (_, number) => number),
    );
  }
  app = await startApi();
});

afterAll(async () => {
  await app?.close();
  await world?.close();
  await database?.drop();
});

/** What one device did in the two minutes before NOW. */
function* history(): Generator<['events' | 'maps' | 'names', Buffer]> {
  let number = 0;
  const map = (
    name: string,
    secondsAgo: number,
    strides: [number, number],
    [keys, values]: [Buffer, Buffer],
  ): ['maps', Buffer] => {
    const sections = [
      { stride: strides[0], bytes: keys },
      { stride: strides[1], bytes: values },
    ];
    const now = new Date(NOW.getTime() - secondsAgo * 1000);
    const count = keys.length / strides[0];
    return [
      'maps',
      sealBatch(fixture, number++, { kind: 'map', map: name }, count, sections, {
        stream: 'maps',
        now,
        header: { cpus: 1 },
      }),
    ];
  };
  // Interface 1 counts 10 a second; interface 2 moves once, interface 3 appears late; at 30 s ago the map was made anew.
  const counters: [number, [number, bigint][]][] = [
    [
      120,
      [
        [1, 1000n],
        [2, 5n],
      ],
    ],
    [100, [[1, 1200n]]],
    [
      80,
      [
        [1, 1400n],
        [2, 25n],
      ],
    ],
    [
      60,
      [
        [1, 1600n],
        [3, 40n],
      ],
    ],
    [40, [[1, 1800n]]],
    [20, [[1, 100n]]],
    [0, [[1, 300n]]],
  ];
  for (const [secondsAgo, entries] of counters) yield map('opens', secondsAgo + 1, [4, 8], counterSections(entries));
  yield map(
    'in_use',
    100,
    [4, 8],
    counterSections([
      [1, 7n],
      [2, 9n],
    ]),
  );
  yield map('in_use', 40, [4, 8], counterSections([[1, 3n]]));
  const latency = (slots: number[]) => latencySections([{ comm: 'sh', slots, totalUs: 10 }], 1);
  yield map('latencies', 110, [16, LATENCY_VALUE_BYTES], latency([10, 0, 0, 0, 0, 0, 0, 0]));
  yield map('latencies', 70, [16, LATENCY_VALUE_BYTES], latency([10, 90, 0, 0, 0, 0, 0, 10]));
  yield map('latencies', 30, [16, LATENCY_VALUE_BYTES], latency([4, 0, 0, 0, 0, 0, 0, 0]));
  const stack = (count: bigint) => profileSections([{ pid: 5, kernel: 3, user: 9, comm: 'sh', count }]);
  yield map('counts', 100, [28, 8], stack(10n));
  yield map('counts', 50, [28, 8], stack(25n));
  yield* stacksAndNames(() => number++);
  yield ['events', openEvents(0, fixture.run, [1, 2, 3, 4, 5])];
  yield ['events', openEvents(1, DEBUG_RUN, [6])];
}

function* stacksAndNames(next: () => number): Generator<['maps' | 'names', Buffer]> {
  const entries = Buffer.from(new Uint32Array([3, 2, 9, 1]).buffer);
  const addresses = Buffer.from(new BigUint64Array([0xffffffff81000010n, 0xffffffff81000020n, 0x401000n]).buffer);
  const sections = [
    { stride: 8, bytes: entries },
    { stride: 8, bytes: addresses },
  ];
  yield [
    'maps',
    sealBatch(fixture, next(), { kind: 'stacks', map: 'stacks' }, 2, sections, { stream: 'maps', now: NOW }),
  ];
  const names = JSON.stringify([
    { kind: 'ksym', id: 'ffffffff81000020', name: 'do_syscall_64' },
    { kind: 'ifname', id: '2', name: 'eth0' },
  ]);
  const bytes = Buffer.from(names);
  yield [
    'names',
    sealBatch(fixture, 0, { kind: 'names', map: '' }, 2, [{ stride: 1, bytes }], { stream: 'names', now: NOW }),
  ];
}

function openEvents(number: number, run: string, pids: number[]): Buffer {
  const record = (pid: number) =>
    openEventBytes({ tsNs: BOOTTIME_NS - BigInt(60 - pid) * 1_000_000_000n, pid, path: `/${pid}` });
  const bytes = Buffer.concat(pids.map(record));
  const sections = [{ stride: OPEN_EVENT_BYTES, bytes }];
  return sealBatch(fixture, number, { kind: 'ring', map: 'events' }, pids.length, sections, {
    now: NOW,
    header: { run },
  });
}

async function startApi(): Promise<NestFastifyApplication> {
  @Global()
  @Module({
    providers: [
      { provide: Config, useValue: world.config },
      { provide: Clock, useValue: world.clock },
    ],
    exports: [Config, Clock],
  })
  class TestPlatform {}
  @Module({ imports: [TestPlatform, TelemetryQueryModule] })
  class TestRoot {}
  const made = await NestFactory.create<NestFastifyApplication>(TestRoot, new FastifyAdapter(), { logger: false });
  made.useGlobalPipes(contractValidation());
  made.useGlobalFilters(new ProblemFilter());
  await made.listen(0, '127.0.0.1');
  origin = await made.getUrl();
  return made;
}

async function get<T>(path: string, query: Record<string, string | number> = {}): Promise<{ status: number; body: T }> {
  const text = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
  const response = await fetch(`${origin}/api/telemetry/${path}?${text}`);
  return { status: response.status, body: (await response.json()) as T };
}

describe('overview and metrics', () => {
  it('count what was stored', async () => {
    const { body } = await get<Overview>('overview');
    expect(body).toMatchObject({
      devices: 1,
      devicesOnline: 1,
      runsAttached: 2,
      events: 6,
      lastTelemetryAt: NOW.toISOString(),
    });
    expect(body.samples).toBeGreaterThan(10);
  });

  it('list what there is to look at', async () => {
    const { body } = await get<{ items: MetricInfo[] }>('metrics', { device: fixture.device });
    expect(
      body.items.map(({ metric, type, unit, series, labels }) => ({ metric, type, unit, series, labels })),
    ).toEqual([
      { metric: 'files_in_use', type: 'gauge', unit: null, series: 2, labels: ['slot'] },
      { metric: 'open_latency_seconds', type: 'histogram', unit: 's', series: 1, labels: ['comm'] },
      { metric: 'opens_total', type: 'counter', unit: null, series: 3, labels: ['interface'] },
    ]);
    expect(body.items[2]?.lastAt).toBe(new Date(NOW.getTime() - 1000).toISOString());
  });
});

describe('series', () => {
  const ask = (more: Record<string, string | number> = {}) =>
    get<SeriesResponse>('series', { device: fixture.device, metric: 'opens_total', ...more });
  const last2Minutes = { from: new Date(NOW.getTime() - 120_000).toISOString(), to: NOW.toISOString() };

  it('of a counter are rates that know of new entries and of a restart', async () => {
    const { body } = await ask({ ...last2Minutes, stepSeconds: 20 });
    expect(body.times).toHaveLength(6);
    const of = (label: string) => body.series.find(({ labels }) => labels['interface'] === label)?.values;
    // 20 s steps from 120 s ago; samples are a second before each step's end.
    expect(of('1')?.map((rate) => rate && Math.round(rate * 100) / 100)).toEqual([10, 10, 10, 9.75, 5.25, 10]);
    expect(of('3')?.[0]).toBe(0);
    expect((of('3') ?? []).reduce<number>((sum, rate) => sum + (rate ?? 0) * 20, 0)).toBeCloseTo(40, 5);
    expect(of('2')?.slice(2)).toEqual([expect.any(Number), 0, 0, 0]);
  });

  it('are cut at the limit, largest first, and say so', async () => {
    const { body } = await ask({ limit: 1 });
    expect(body).toMatchObject({ truncated: true, series: [{ labels: { interface: '1' } }] });
  });

  it('of a gauge keep their value as long as the agent looks', async () => {
    const { body } = await ask({ ...last2Minutes, metric: 'files_in_use', stepSeconds: 20 });
    const of = (slot: string) => body.series.find(({ labels }) => labels['slot'] === slot)?.values;
    expect(of('1')).toEqual([null, 7, 7, 7, 3, 3]);
    expect(of('2')).toEqual([null, 9, 9, 9, 9, 9]);
  });

  it('never have more than 400 points', async () => {
    const { body } = await ask({ from: new Date(NOW.getTime() - 86_400_000).toISOString(), stepSeconds: 1 });
    expect(body.times.length).toBeLessThanOrEqual(400);
  });

  it('of an unknown metric or a bad range are refused', async () => {
    expect(await ask({ metric: 'nothing' })).toMatchObject({
      status: 404,
      body: { error: { code: 'METRIC_UNKNOWN' } },
    });
    const backwards = { from: NOW.toISOString(), to: new Date(0).toISOString() };
    expect(await ask(backwards)).toMatchObject({ status: 400, body: { error: { code: 'RANGE_INVALID' } } });
  });
});

it('a heat map holds what was observed in each step', async () => {
  const { body } = await get<HeatmapResponse>('heatmap', {
    device: fixture.device,
    metric: 'open_latency_seconds',
    from: new Date(NOW.getTime() - 120_000).toISOString(),
    to: NOW.toISOString(),
    stepSeconds: 40,
  });
  expect(body.bounds).toEqual([2e-6, 4e-6, 8e-6, 16e-6, 32e-6, 64e-6, 128e-6]);
  expect(body.counts).toEqual([
    [0, 0, 0, 0, 0, 0, 0, 0],
    [0, 90, 0, 0, 0, 0, 0, 10],
    [4, 0, 0, 0, 0, 0, 0, 0],
  ]);
  expect(body.quantiles.p50[0]).toBeNull();
  expect(body.quantiles.p50[1]).toBeCloseTo(2e-6 + (2e-6 * 50) / 90, 12);
  expect(body.quantiles.p99[1]).toBe(128e-6);
});

describe('events', () => {
  const ask = (more: Record<string, string | number> = {}) =>
    get<EventsResponse>('events', { probe: 'watch_files', event: 'open', to: NOW.toISOString(), ...more });

  it('come newest first, page by page', async () => {
    const pids: unknown[] = [];
    let cursor: string | null = null;
    do {
      const { body }: { body: EventsResponse } = await ask({ limit: 2, ...(cursor === null ? {} : { cursor }) });
      pids.push(...body.rows.map(({ fields }) => fields['pid']));
      cursor = body.nextCursor;
    } while (cursor !== null);
    expect(pids).toEqual([5, 4, 3, 2, 1]);
  });

  it('have typed columns', async () => {
    const { body } = await ask({ device: fixture.device, limit: 1 });
    expect(body.columns).toContainEqual({ name: 'saddr', type: 'inet' });
    expect(body.rows).toEqual([
      {
        at: new Date(NOW.getTime() - 55_000).toISOString(),
        device: fixture.device,
        run: fixture.run,
        fields: { pid: 5, result: 0, path: '/5', saddr: '127.0.0.1' },
      },
    ]);
  });

  it('of a debug run come from the shared table', async () => {
    const { body } = await ask({ run: DEBUG_RUN });
    expect(body.rows.map(({ fields }) => fields)).toEqual([{ pid: 6, result: 0, path: '/6', saddr: '127.0.0.1' }]);
  });

  it('are refused when nothing knows them, or the cursor is not ours', async () => {
    expect(await ask({ event: 'nothing' })).toMatchObject({ status: 404, body: { error: { code: 'EVENT_UNKNOWN' } } });
    expect(await ask({ cursor: "1-1-1' OR 1=1" })).toMatchObject({
      status: 400,
      body: { error: { code: 'CURSOR_INVALID' } },
    });
  });
});

it('a profile is a tree from process to kernel, with names where the device sent them', async () => {
  const { body } = await get<{ samples: number; root: FlameNode }>('profile', {
    device: fixture.device,
    probe: 'watch_files',
    profile: 'cpu',
  });
  const path: string[] = [];
  for (let node: FlameNode | undefined = body.root; node; node = node.children[0])
    path.push(`${node.name} ${node.value}`);
  expect(body.samples).toBe(25);
  expect(path).toEqual(['all 25', 'sh 25', '0x401000 25', 'do_syscall_64 25', '0xffffffff81000010 25']);
});
