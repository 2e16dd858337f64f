import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createClient, type ApiClient } from '@bpfleet/api';
import { startApp, type TestApp } from '../../../test/start-app.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { SessionModule } from '../session/index.js';
import { AuditApiModule } from './index.js';
import { AuditLog } from './log/index.js';

const HOSTILE = 'dev\u001b[31m<img src=x onerror=alert(1)>\u202e';
let server: TestApp;
let admin: ApiClient;
let prisma: PrismaService;

beforeAll(async () => {
  server = await startApp([SessionModule, AuditApiModule]);
  admin = await server.admin();
  prisma = server.app.get(PrismaService);
});
afterAll(() => server?.stop());
beforeEach(async () => {
  await server.app.get(ControlSql).pool.query('TRUNCATE "AuditEntry"');
});

async function record(count: number, entry: { actor?: string; action?: string } = {}): Promise<void> {
  const { actor = 'kari', action = 'device.update' } = entry;
  for (let at = 0; at < count; at++) {
    const details = { b: at, a: { nested: [1, { z: 1, y: 2 }] } };
    await server.app.get(AuditLog).recordAlone({ actor, action, subject: `${HOSTILE} ${at}`, details });
  }
}

const nth = async (at: number) =>
  (await prisma.auditEntry.findMany({ orderBy: { sequence: 'asc' }, skip: at, take: 1 }))[0]?.sequence as bigint;

describe('the audit log', () => {
  it('is read newest first, page by page, as it was written', async () => {
    await record(7);
    const seen: string[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await admin.call('listAudit', { query: { limit: 3, ...(cursor ? { cursor } : {}) } });
      seen.push(...page.items.map(({ subject }) => subject));
      // What is written meanwhile moves no page.
      await record(1, { actor: 'meanwhile' });
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    expect(seen).toEqual([6, 5, 4, 3, 2, 1, 0].map((at) => `${HOSTILE} ${at}`));
  });

  it('is filtered by who, what, and since when', async () => {
    await record(2, { actor: 'kari', action: 'device.update' });
    await record(1, { actor: 'ola', action: 'device.revoke' });
    await record(1, { actor: 'ola', action: 'devices.other' });
    const list = async (query: object) =>
      (await admin.call('listAudit', { query })).items.map(({ actor, action }) => `${actor} ${action}`);
    expect(await list({ actor: 'kari' })).toEqual(['kari device.update', 'kari device.update']);
    expect(await list({ action: 'device' })).toHaveLength(3);
    expect(await list({ action: 'device.revoke', actor: 'ola' })).toEqual(['ola device.revoke']);
    const { at } = await prisma.auditEntry.findFirstOrThrow({ orderBy: { sequence: 'desc' } });
    expect(await list({ since: at.toISOString() })).toContain('ola devices.other');
    expect(await list({ since: '2100-01-01T00:00:00Z' })).toEqual([]);
    await expect(list({ action: `device' OR 1=1` })).rejects.toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
  });

  it('is shown to administrators alone', async () => {
    const { token } = await admin.call('createApiToken', { body: { name: 'approver', role: 'approver' } });
    const approver = createClient({ baseUrl: server.url, token });
    await expect(approver.call('listAudit', {})).rejects.toMatchObject({ status: 403, code: 'ROLE_TOO_LOW' });
    await expect(approver.call('verifyAudit', {})).rejects.toMatchObject({ status: 403 });
  });

  it('is verified in parts, which together are the whole', async () => {
    await record(703);
    let answer = await admin.call('verifyAudit', { query: { limit: 502 } });
    expect(answer).toMatchObject({ checked: 502, broken: null, more: true });
    answer = await admin.call('verifyAudit', { query: { limit: 502, after: answer.last?.sequence } });
    const head = await prisma.auditEntry.findFirstOrThrow({ orderBy: { sequence: 'desc' } });
    const last = { sequence: String(head.sequence), hash: head.hash };
    expect(answer).toEqual({ checked: 201, broken: null, more: false, last });
    expect(await admin.call('verifyAudit', { query: { after: last.sequence } })).toMatchObject({ checked: 0, last });
  }, 60_000);

  it('says where it was changed, and where an entry was taken out', async () => {
    await record(6);
    const third = await nth(2);
    await prisma.auditEntry.update({ where: { sequence: third }, data: { actor: 'somebody else' } });
    expect(await admin.call('verifyAudit', {})).toMatchObject({ checked: 2, broken: String(third), more: false });
    const fourth = await nth(3);
    await prisma.auditEntry.delete({ where: { sequence: third } });
    expect(await admin.call('verifyAudit', {})).toMatchObject({ checked: 2, broken: String(fourth) });
    const gone = admin.call('verifyAudit', { query: { after: String(third) } });
    await expect(gone).rejects.toMatchObject({ status: 404, code: 'AUDIT_ENTRY_UNKNOWN' });
  });

  it('of nobody is whole', async () => {
    const empty = { checked: 0, last: null, broken: null, more: false };
    expect(await admin.call('verifyAudit', {})).toEqual(empty);
    expect(await admin.call('listAudit', {})).toEqual({ items: [], nextCursor: null });
  });
});
