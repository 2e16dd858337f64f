import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { ControlModule } from '../../control/index.js';
import { addDevice, Bench, benchFacts } from '../../control/testing/bench.js';
import { birth } from '../../control/testing/steps.js';
import { KERNEL_GROUPS_MAX, kernelGroupOf } from './index.js';

let database: TestDatabase;
let bench: Bench;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = await Bench.start({ databaseUrl: database.url, modules: [ControlModule] });
  bench.link.connect();
});
afterAll(async () => {
  await bench?.stop();
  await database?.drop();
});

async function groupOf(device: string): Promise<string | null | undefined> {
  const row = await bench.prisma.device.findUnique({ where: { id: device }, select: { kernelGroupId: true } });
  return row?.kernelGroupId;
}

describe('kernel groups', () => {
  it('hold devices whose kernels decide alike, and no others', async () => {
    const [one, two, other] = [await addDevice(bench), await addDevice(bench), await addDevice(bench)];
    await birth(bench, one, 1);
    await birth(bench, two, 1, { facts: { ...benchFacts, hostname: 'edge-2', cpus: 8, memoryBytes: 1 } });
    await birth(bench, other, 1, { facts: { ...benchFacts, jit: 'off' } });
    expect(await groupOf(one)).toBe(kernelGroupOf(benchFacts).id);
    expect(await groupOf(two)).toBe(await groupOf(one));
    expect(await groupOf(other)).not.toBe(await groupOf(one));
    const { id, ...parts } = kernelGroupOf(benchFacts);
    expect(await bench.prisma.kernelGroup.findUnique({ where: { id } })).toMatchObject(parts);
  });

  it('are not changed by a device that claims the build id of others with another BTF, or with none', async () => {
    const [honest, liar] = [await addDevice(bench), await addDevice(bench)];
    await birth(bench, honest, 1);
    const before = await bench.prisma.kernelGroup.findUnique({ where: { id: kernelGroupOf(benchFacts).id } });
    for (const [at, btfDigest] of ['d'.repeat(64), null].entries()) {
      await birth(bench, liar, at + 1, { facts: { ...benchFacts, btfDigest } });
      expect(await groupOf(liar)).not.toBe(await groupOf(honest));
    }
    expect(await bench.prisma.kernelGroup.findUnique({ where: { id: before?.id ?? '' } })).toEqual(before);
  });

  it('follow a device to its next kernel, and stay when it says nothing of it', async () => {
    const device = await addDevice(bench);
    await birth(bench, device, 1);
    const facts = { ...benchFacts, kernelRelease: '6.12.1', kernelBuildId: 'cd'.repeat(20) };
    await birth(bench, device, 2, { facts });
    await bench.say(device, { kind: 'birth' }, { v: 1, online: true, connection: 3, bootId: 'boot' });
    expect(await groupOf(device)).toBe(kernelGroupOf(facts).id);
  });

  it('are bounded: one that nobody is in makes room, and without any a device stays without', async () => {
    const sql = bench.get(ControlSql);
    const { rows } = await sql.pool.query<{ count: string }>('SELECT count(*) FROM "KernelGroup"');
    await sql.pool.query(
      `INSERT INTO "KernelGroup" (id, "kernelRelease", "kernelArch", "userBits", lsm, "pageBytes", "firstSeenAt")
       SELECT 'filler' || n, 'r', 'arm64', 64, '{}', 4096, '2020-01-01' FROM generate_series(1, $1) n`,
      [KERNEL_GROUPS_MAX - Number(rows[0]?.count)],
    );
    const device = await addDevice(bench);
    const facts = { ...benchFacts, kernelRelease: 'one more' };
    await birth(bench, device, 1, { facts });
    expect(await groupOf(device)).toBe(kernelGroupOf(facts).id);
    expect(await bench.prisma.kernelGroup.count()).toBe(KERNEL_GROUPS_MAX);
    await sql.pool.query(
      `INSERT INTO "Device" (id, name, labels, "kernelGroupId")
       SELECT 'dfiller' || lpad(n::text, 8, '0'), 'f', '{}', id FROM (SELECT id, row_number() OVER () AS n FROM "KernelGroup") g`,
    );
    await birth(bench, device, 2, { facts: { ...benchFacts, kernelRelease: 'one too many' } });
    expect(await groupOf(device)).toBeNull();
  });
});
