import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { ControlModule } from '../control/index.js';
import { addDevice, addRelease, Bench } from '../control/testing/bench.js';
import { assign, settle } from '../control/testing/steps.js';
import { Devices } from '../devices/index.js';
import { Runs } from '../runs/index.js';
import { AssignmentsApiModule } from './index.js';
import { Assignments } from './assignments.service.js';
import { parseSelector } from './selector/index.js';

let database: TestDatabase;
let bench: Bench;
let release: { readonly id: string };

beforeAll(async () => {
  database = await createTestDatabase();
  bench = await Bench.start({ databaseUrl: database.url, modules: [ControlModule, AssignmentsApiModule] });
  release = await addRelease(bench, { probe: 'fleet_wide' });
});
afterAll(async () => {
  await bench?.stop();
  await database?.drop();
});
afterEach(() => {
  jest.restoreAllMocks();
});

/** How often the whole fleet is looked at. */
function fleetReads(): () => number {
  const devices = bench.get(Devices);
  const spies = [jest.spyOn(devices, 'select'), jest.spyOn(devices, 'matching'), jest.spyOn(devices, 'countMatches')];
  return () => spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
}

const dueDevices = async () => {
  const rows = await bench.prisma.device.findMany({ where: { desiredDueAt: { not: null } }, select: { id: true } });
  return rows.map(({ id }) => id).sort();
};

describe('an assignment', () => {
  it('is withdrawn without a look at the fleet, from all that run it', async () => {
    const device = await addDevice(bench, { labels: { site: 'oslo' } });
    const moved = await addDevice(bench, { labels: { site: 'oslo' } });
    await addDevice(bench, { labels: { site: 'oslo-2' } });
    const { id, devices } = await assign(bench, release.id, 'site=oslo');
    expect(devices).toBe(2);
    await settle(bench);
    // It matches no more, and nobody has told it yet.
    await bench.prisma.device.update({ where: { id: moved }, data: { labels: {} } });
    const reads = fleetReads();
    expect(await bench.get(Assignments).withdraw('alice', id)).toMatchObject({ state: 'withdrawn', devices: 2 });
    expect(reads()).toBe(0);
    expect(await dueDevices()).toEqual([device, moved].sort());
    expect(await bench.get(Assignments).withdraw('alice', id)).toMatchObject({ state: 'withdrawn', devices: 0 });
    expect(reads()).toBe(0);
    await settle(bench);
    expect(await bench.get(Runs).attachedByProbe()).toEqual(new Map());
  });

  it('that another of its probe may take over from makes all that match due', async () => {
    const device = await addDevice(bench, { labels: { site: 'bergen' } });
    await assign(bench, release.id, 'site=tromso');
    const { id } = await assign(bench, release.id, 'site=bergen');
    await settle(bench);
    const idle = await addDevice(bench, { labels: { site: 'bergen' } });
    await bench.get(Assignments).withdraw('alice', id);
    expect(await dueDevices()).toEqual([device, idle].sort());
    await settle(bench);
  });
});

describe('a list', () => {
  it('looks at the fleet once for all selectors, and again when that is ten seconds old', async () => {
    await bench.prisma.assignment.updateMany({ data: { state: 'withdrawn' } });
    const labels = { rack: '7' };
    for (let count = 0; count < 3; count += 1) await addDevice(bench, { labels });
    for (const selector of ['rack=7', 'rack=7', 'rack=8', 'rack=7 and site=x'])
      await assign(bench, release.id, selector);
    const counts = jest.spyOn(bench.get(Devices), 'countMatches');
    const listed = async () => (await bench.get(Assignments).list()).filter(({ state }) => state === 'active');
    const [first, second] = await Promise.all([listed(), listed()]);
    expect(first.map(({ selector, devices }) => `${selector}: ${devices}`).sort()).toEqual([
      'rack=7 and site=x: 0',
      'rack=7: 3',
      'rack=7: 3',
      'rack=8: 0',
    ]);
    expect(second).toEqual(first);
    expect(counts.mock.calls.map(([selectors]) => selectors.length)).toEqual([3]);
    expect((await bench.get(Assignments).list()).find(({ state }) => state === 'withdrawn')?.devices).toBe(0);

    await addDevice(bench, { labels });
    bench.clock.advance(9_999);
    expect((await listed()).filter(({ devices }) => devices === 3)).toHaveLength(2);
    bench.clock.advance(1);
    expect((await listed()).filter(({ devices }) => devices === 4)).toHaveLength(2);
    expect(counts).toHaveBeenCalledTimes(2);
  });

  it('counts more devices than one page of the fleet holds', async () => {
    await bench.prisma.device.createMany({
      data: Array.from({ length: 1200 }, (_, index) => ({
        id: `dpage${String(index).padStart(8, '0')}`,
        name: 'page',
        labels: { page: String(index % 2) },
      })),
    });
    const selectors = ['page=0', 'page', 'page=2'].map(parseSelector);
    expect(await bench.get(Devices).countMatches(selectors)).toEqual([600, 1200, 0]);
  });
});

it('counts what is attached of each probe over all of its releases', async () => {
  const other = await addRelease(bench, { probe: 'fleet_wide', version: '2.0.0' });
  const device = await addDevice(bench);
  const run = (id: string, releaseId: string, state: 'ATTACHED' | 'PENDING') =>
    bench.prisma.run.create({
      data: { id, deviceId: device, releaseId, kind: 'assignment', intent: 'x', params: {}, state },
    });
  await run('rcount000001', release.id, 'ATTACHED');
  await run('rcount000002', other.id, 'ATTACHED');
  await run('rcount000003', other.id, 'PENDING');
  expect(await bench.get(Runs).attachedByProbe()).toEqual(new Map([['fleet_wide', 2]]));
});

it('reaches every device of a fleet that is larger than what is asked about at once', async () => {
  await bench.prisma.$executeRaw`INSERT INTO "Device" (id, name, labels)
    SELECT 'dlarge' || lpad(n::text, 8, '0'), 'large', '{"size":"large"}' FROM generate_series(1, 50001) n`;
  await expect(bench.get(Devices).select(parseSelector('size=large'))).rejects.toMatchObject({
    status: 422,
    code: 'SELECTION_TOO_LARGE',
  });
  expect(await bench.get(Devices).select(parseSelector('size=large and name=small'))).toEqual([]);
  const page = await bench.get(Devices).list({ selector: 'size=large', limit: 2 });
  expect(page).toMatchObject({ total: 50_001, items: [{ id: 'dlarge00000001' }, { id: 'dlarge00000002' }] });
  const next = await bench.get(Devices).list({ selector: 'size=large', limit: 2, cursor: page.nextCursor as string });
  expect(next.items.map(({ id }) => id)).toEqual(['dlarge00000003', 'dlarge00000004']);
  const { devices } = await assign(bench, release.id, 'size=large');
  expect(devices).toBe(50_001);
  expect((await dueDevices()).filter((id) => id.startsWith('dlarge'))).toHaveLength(50_001);
});
