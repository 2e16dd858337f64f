import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ApiClient } from '@bpfleet/api';
import { startApp, type TestApp } from '../../../test/start-app.js';
import { Clock } from '../../platform/clock.js';
import { ServerKeys } from '../../platform/keys/server-keys.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { AssignmentsApiModule } from '../assignments/index.js';
import { addDevice, addRelease, type ServerParts } from '../control/testing/bench.js';
import { DebugApiModule } from '../debug/index.js';
import { DevicesApiModule } from '../devices/index.js';
import { EnrolmentApiModule } from '../enrolment/index.js';
import { KernelsApiModule } from '../kernels/index.js';
import { foreignBtf } from '../kernels/testing/kernel-btf.js';
import { LabApiModule } from '../lab/index.js';
import { SessionModule } from '../session/index.js';
import { AuditApiModule } from './index.js';

let server: TestApp;
let admin: ApiClient;
let parts: ServerParts;
let prisma: PrismaService;

beforeAll(async () => {
  const modules = [
    SessionModule,
    DevicesApiModule,
    EnrolmentApiModule,
    AssignmentsApiModule,
    DebugApiModule,
    AuditApiModule,
    KernelsApiModule,
    LabApiModule,
  ];
  server = await startApp(modules);
  admin = await server.admin();
  prisma = server.app.get(PrismaService);
  const get = ((type: never) => server.app.get(type, { strict: false })) as ServerParts['get'];
  parts = { keys: server.app.get(ServerKeys as never, { strict: false }), clock: get(Clock), prisma, get };
});
afterAll(() => server?.stop());

const sql = (text: string) => server.app.get(ControlSql).pool.query(text);
const jam = () =>
  sql(`CREATE FUNCTION audit_jam() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the audit log is jammed'; END $$;
    CREATE TRIGGER audit_jam BEFORE INSERT ON "AuditEntry" FOR EACH ROW EXECUTE FUNCTION audit_jam()`);
const clear = () =>
  sql('DROP TRIGGER IF EXISTS audit_jam ON "AuditEntry"; DROP FUNCTION IF EXISTS audit_jam() CASCADE');

describe('what cannot be recorded does not happen', () => {
  let release: string;
  let device: string;
  let probes = 0;
  beforeEach(async () => {
    release = (await addRelease(parts, { probe: `jammed_${probes++}` })).id;
    device = await addDevice(parts);
  });
  afterEach(clear);

  it('an assignment', async () => {
    const body = { releaseId: release, selector: 'all', params: {} };
    await jam();
    await expect(admin.call('createAssignment', { body })).rejects.toMatchObject({ status: 500 });
    expect(await prisma.assignment.count({ where: { releaseId: release } })).toBe(0);
    await clear();
    const { id } = await admin.call('createAssignment', { body });
    await jam();
    await expect(admin.call('withdrawAssignment', { path: { id } })).rejects.toMatchObject({ status: 500 });
    expect(await prisma.assignment.findUnique({ where: { id } })).toMatchObject({ state: 'active' });
  });

  it('a debug run, and its end', async () => {
    const body = { device, releaseId: release, params: {}, minutes: 5 };
    await jam();
    await expect(admin.call('createDebugRun', { body })).rejects.toMatchObject({ status: 500 });
    expect(await prisma.run.count({ where: { deviceId: device } })).toBe(0);
    await clear();
    const { id } = await admin.call('createDebugRun', { body });
    await jam();
    await expect(admin.call('stopDebugRun', { path: { id } })).rejects.toMatchObject({ status: 500 });
    expect(await prisma.run.findUnique({ where: { id } })).toMatchObject({ state: 'PENDING' });
  });

  it('new labels of a device', async () => {
    await jam();
    const change = admin.call('updateDevice', { path: { id: device }, body: { labels: { site: 'oslo' } } });
    await expect(change).rejects.toMatchObject({ status: 500 });
    expect(await prisma.device.findUnique({ where: { id: device } })).toMatchObject({ labels: {} });
  });

  it('the revocation of a device', async () => {
    await jam();
    const revoke = admin.call('revokeDevice', { path: { id: device }, body: { reason: 'stolen' } });
    await expect(revoke).rejects.toMatchObject({ status: 500 });
    expect(await prisma.device.findUnique({ where: { id: device } })).toMatchObject({
      status: 'active',
      revokedAt: null,
    });
  });

  it('types of a kernel build, a file for the lab, a kernel of it, its end and a proof by it', async () => {
    const btf = foreignBtf('arm64-6.1');
    const add = { query: { buildId: 'cd'.repeat(20), arch: 'arm64' as const }, body: btf };
    const file = { query: { kind: 'config' as const, arch: 'arm64' as const }, body: Buffer.from('CONFIG_A=y\n') };
    const kernel = { body: { name: `board-${probes}`, suite: 'trixie' as const, arch: 'arm64' as const } };
    await jam();
    await expect(admin.call('addBtf', add)).rejects.toMatchObject({ status: 500 });
    await expect(admin.call('addLabFile', file)).rejects.toMatchObject({ status: 500 });
    await expect(admin.call('addLabKernel', kernel)).rejects.toMatchObject({ status: 500 });
    const counts = () =>
      Promise.all([
        prisma.kernelBtf.count(),
        prisma.kernelBuild.count(),
        prisma.labKernel.count(),
        prisma.labJob.count(),
      ]);
    expect(await counts()).toEqual([0, 0, 0, 0]);
    expect(await prisma.blob.count({ where: { kind: { in: ['btf', 'lab-config'] } } })).toBe(0);
    await clear();
    const { id } = await admin.call('addLabKernel', kernel);
    await jam();
    await expect(admin.call('proveInLab', { body: { releaseId: release } })).rejects.toMatchObject({ status: 500 });
    await expect(admin.call('removeLabKernel', { path: { id } })).rejects.toMatchObject({ status: 500 });
    expect(await counts()).toEqual([0, 0, 1, 0]);
  });

  it('an enrolment token, and the end of one', async () => {
    const body = { name: 'jammed', labels: {} };
    await jam();
    await expect(admin.call('createEnrolmentToken', { body })).rejects.toMatchObject({ status: 500 });
    expect(await prisma.enrolmentToken.count({ where: { name: 'jammed' } })).toBe(0);
    await clear();
    const { id } = await admin.call('createEnrolmentToken', { body });
    await jam();
    await expect(admin.call('revokeEnrolmentToken', { path: { id } })).rejects.toMatchObject({ status: 500 });
    expect(await prisma.enrolmentToken.count({ where: { id } })).toBe(1);
  });

  it('an API token, and the end of one', async () => {
    const body = { name: 'jammed' };
    await jam();
    await expect(admin.call('createApiToken', { body })).rejects.toMatchObject({ status: 500 });
    expect(await prisma.apiToken.count({ where: { name: 'jammed' } })).toBe(0);
    await clear();
    const { id } = await admin.call('createApiToken', { body });
    await jam();
    await expect(admin.call('revokeApiToken', { path: { id } })).rejects.toMatchObject({ status: 500 });
    expect(await prisma.apiToken.count({ where: { id } })).toBe(1);
  });

  it('and what can is in one chain, whichever hand wrote it', async () => {
    const at = Array.from({ length: 20 }, (_, number) => number);
    await Promise.all(
      at.map((number) =>
        number % 2 === 0
          ? admin.call('createApiToken', { body: { name: `chained ${number}` } })
          : admin.call('updateDevice', { path: { id: device }, body: { name: `chained ${number}` } }),
      ),
    );
    expect(await prisma.auditEntry.count({ where: { action: 'device.update', subject: device } })).toBe(10);
    expect(await admin.call('verifyAudit', {})).toMatchObject({ broken: null, more: false });
  });
});
