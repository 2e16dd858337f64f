import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ADMIN_PASSWORD, logIn, startApp, type TestApp } from '../../../test/start-app.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { HealthModule } from '../health/index.js';
import { SessionModule } from './index.js';

const WRONG = 'not the password';
let server: TestApp;

beforeEach(async () => {
  server = await startApp([SessionModule, HealthModule]);
});
afterEach(() => server.stop());

/** The status of a POST that comes from an address of the loopback network. */
function post(path: string, body: object, given: { from?: string; cookie?: string } = {}): Promise<number> {
  const { from = '127.0.0.1', cookie } = given;
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', ...(cookie ? { cookie } : {}) };
    const sent = request(`${server.url}${path}`, { method: 'POST', headers, localAddress: from }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode ?? 0));
    });
    sent.once('error', reject);
    sent.end(JSON.stringify(body));
  });
}

const guess = (username: string, from?: string, password = WRONG) =>
  post('/api/session', { username, password }, from ? { from } : {});

function counted(statuses: readonly number[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

describe('a flood of log-ins', () => {
  it('gets ten guesses of a name, though all are asked at once', async () => {
    const statuses = await Promise.all(Array.from({ length: 50 }, () => guess('admin')));
    expect(counted(statuses)).toEqual({ 401: 10, 429: 40 });
    const entries = await server.app.get(PrismaService).auditEntry.findMany({ orderBy: { sequence: 'asc' } });
    expect(entries.map(({ action, subject }) => `${action} ${subject}`).sort()).toEqual([
      'session.refused admin',
      'session.throttled log-in',
    ]);
    expect(entries[0]).toMatchObject({ actor: 'anonymous', details: { address: '127.0.0.1' } });
  });

  it('is in the audit log by a few entries, none of which holds a name that nobody has', async () => {
    await Promise.all(Array.from({ length: 40 }, (_, at) => guess(`my secret ${at}`)));
    const entries = await server.app.get(PrismaService).auditEntry.findMany();
    expect(entries.length).toBeLessThanOrEqual(2);
    expect(JSON.stringify(entries.map(({ subject, details }) => [subject, details]))).not.toContain('secret');
  });

  it('does not lock out who knows the password, at another address', async () => {
    await Promise.all(Array.from({ length: 50 }, () => guess('admin', '127.0.0.2')));
    expect(await guess('admin', '127.0.0.2', ADMIN_PASSWORD)).toBe(429);
    expect(await guess('admin', '127.0.0.1', ADMIN_PASSWORD)).toBe(200);
  });

  it('of many names is refused in part, and the server answers others meanwhile', async () => {
    const flood = Promise.all(Array.from({ length: 200 }, (_, at) => guess(`name-${at}`)));
    await expect(server.anonymous.call('health', {})).resolves.toMatchObject({ database: true });
    const { 401: verified = 0, 429: refused = 0 } = counted(await flood);
    expect(verified + refused).toBe(200);
    expect(verified).toBeLessThanOrEqual(60);
    expect(verified).toBeGreaterThan(0);
  });

  it('gets no further by changing the password of an open session', async () => {
    const { cookie } = await logIn(server.url, ADMIN_PASSWORD);
    const body = { current: WRONG, next: 'another long password' };
    const change = () => post('/api/session/password', body, { cookie });
    const statuses = await Promise.all(Array.from({ length: 50 }, change));
    expect(counted(statuses)).toEqual({ 403: 10, 429: 40 });
  });
});
