import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BTF_BYTES_MAX, type ApiClient } from '@bpfleet/api';
import { digestOf } from '@bpfleet/trust';
import type { Facts } from '@bpfleet/wire';
import { logIn, ADMIN_PASSWORD, startApp, type TestApp } from '../../../test/start-app.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { benchFacts } from '../control/testing/bench.js';
import { DevicesModule } from '../devices/index.js';
import { SessionModule } from '../session/index.js';
import { KernelGroups, KernelGroupsModule } from './groups/index.js';
import { KernelsApiModule } from './index.js';
import { foreignBtf } from './testing/kernel-btf.js';

const armhf = foreignBtf('armhf-6.1');
const arm64 = foreignBtf('arm64-6.1');
const BUILD = '0a'.repeat(20);
let server: TestApp;
let api: ApiClient;

beforeAll(async () => {
  server = await startApp([SessionModule, KernelsApiModule, KernelGroupsModule, DevicesModule]);
  api = await server.admin();
});
afterAll(() => server?.stop());

let devices = 0;
async function deviceOf(facts: Partial<Facts> | undefined): Promise<string> {
  const id = `dkernel${String(devices++).padStart(5, '0')}`;
  await server.app.get(PrismaService).device.create({ data: { id, name: id, labels: {} } });
  if (facts) {
    const all = { ...benchFacts, ...facts };
    await server.app
      .get(ControlSql)
      .withTransaction((client) => server.app.get(KernelGroups, { strict: false }).note(client, id, all));
  }
  return id;
}

const arm = { kernelArch: 'arm', userBits: 32, kernelBuildId: BUILD, kernelRelease: '6.1.0-50-armmp' } as const;

describe('the kernels of the fleet', () => {
  it('are listed with how many devices run each, and what is known of their types', async () => {
    const [one] = [await deviceOf({}), await deviceOf({}), await deviceOf({ ...arm, btfDigest: null })];
    const { items } = await api.call('listKernels', {});
    expect(items.map(({ kernelRelease, devices, btf }) => [kernelRelease, devices, btf.state])).toEqual([
      [benchFacts.kernelRelease, 2, 'wanted'],
      [arm.kernelRelease, 1, 'missing'],
    ]);
    const { kernel } = await api.call('getDeviceKernel', { path: { id: one } });
    expect(kernel).toEqual(items[0]);
    expect(await api.call('getDeviceKernel', { path: { id: await deviceOf(undefined) } })).toEqual({ kernel: null });
    await expect(api.call('getDeviceKernel', { path: { id: 'dnobody00001' } })).rejects.toMatchObject({ status: 404 });
  });
});

describe('a BTF that an administrator adds', () => {
  it('stands for the devices of its build that show none, takes its architecture from them, and makes them due', async () => {
    const device = await deviceOf({ ...arm, btfDigest: null });
    const prisma = server.app.get(PrismaService);
    await prisma.device.update({ where: { id: device }, data: { desiredDueAt: null } });
    const added = await api.call('addBtf', { query: { buildId: BUILD }, body: armhf });
    expect(added).toMatchObject({
      digest: digestOf(armhf),
      bytes: armhf.length,
      pointerBits: 32,
      source: 'admin',
      addedBy: 'admin',
      builds: [{ buildId: BUILD, kernelRelease: arm.kernelRelease, kernelArch: 'arm' }],
      devices: 2,
    });
    expect((await api.call('listBtf', {})).items).toEqual([added]);
    const { kernel } = await api.call('getDeviceKernel', { path: { id: device } });
    expect(kernel?.btf).toMatchObject({ state: 'added', digest: digestOf(armhf) });
    const row = await prisma.device.findUnique({ where: { id: device } });
    expect(row?.desiredDueAt).not.toBeNull();
    const audit = await prisma.auditEntry.findFirst({ where: { action: 'btf.add' } });
    expect(audit).toMatchObject({ actor: 'admin', subject: BUILD });
  });

  it('is the same when it is added twice, and another for the same build only on purpose', async () => {
    await api.call('addBtf', { query: { buildId: BUILD }, body: armhf });
    const other = { query: { buildId: BUILD, arch: 'arm64' as const }, body: arm64 };
    await expect(api.call('addBtf', other)).rejects.toMatchObject({ status: 409, code: 'BTF_BUILD_TAKEN' });
    const replaced = await api.call('addBtf', { ...other, query: { ...other.query, replace: 'true' } });
    expect(replaced.builds).toMatchObject([{ buildId: BUILD, kernelArch: 'arm64', kernelRelease: arm.kernelRelease }]);
    await api.call('addBtf', { query: { buildId: BUILD, arch: 'arm', replace: 'true' }, body: armhf });
  });

  it('stays an administrator’s where a device gave the same', async () => {
    const prisma = server.app.get(PrismaService);
    const digest = digestOf(arm64);
    await prisma.kernelBtf.update({ where: { digest }, data: { source: 'device', addedBy: 'dgiver00001' } });
    const added = await api.call('addBtf', { query: { buildId: '0b'.repeat(20), arch: 'arm64' }, body: arm64 });
    expect(added).toMatchObject({ source: 'admin', addedBy: 'admin' });
  });

  it.each([
    ['no BTF', 422, 'BTF_INVALID', { buildId: BUILD }, Buffer.from('hello')],
    ['no architecture', 422, 'BTF_ARCH', { buildId: 'cc'.repeat(20) }, arm64],
    ['another architecture', 422, 'BTF_ARCH', { buildId: 'cc'.repeat(20), arch: 'arm' as const }, arm64],
    ['a build id that is none', 400, 'REQUEST_INVALID', { buildId: 'xyz' }, arm64],
    ['too much', 413, 'REQUEST_TOO_LARGE', { buildId: BUILD }, Buffer.alloc(BTF_BYTES_MAX + 1)],
    ['nothing', 422, 'BTF_INVALID', { buildId: BUILD }, Buffer.alloc(0)],
  ])('is refused with a sentence: %s', async (_, status, code, query, body) => {
    await expect(api.call('addBtf', { query, body })).rejects.toMatchObject({ status, code });
  });

  it('is read only from an administrator, and only as bytes', async () => {
    const url = `${server.url}/api/btf?buildId=${BUILD}`;
    const type = { 'content-type': 'application/octet-stream' };
    const anonymous = await fetch(url, { method: 'POST', headers: type, body: Uint8Array.from(arm64) });
    expect(anonymous.status).toBe(401);
    const { cookie } = await logIn(server.url, ADMIN_PASSWORD);
    const json = { cookie, 'content-type': 'application/json' };
    const asJson = await fetch(url, { method: 'POST', headers: json, body: '{}' });
    expect([asJson.status, ((await asJson.json()) as { error: { message: string } }).error.message]).toEqual([
      415,
      expect.stringContaining('application/octet-stream'),
    ]);
    const elsewhere = await fetch(`${server.url}/api/tokens`, {
      method: 'POST',
      headers: { ...type, cookie },
      body: '{}',
    });
    expect(elsewhere.status).toBe(400);
  });
});
