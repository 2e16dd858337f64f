import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from '@bpfleet/api';
import { ADMIN_PASSWORD, logIn, startApp, type TestApp } from '../../../test/start-app.js';
import { HealthModule } from '../health/index.js';
import { LiveModule } from '../live/index.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { SessionModule } from './index.js';
import { SessionService } from './session.service.js';

describe('log-in', () => {
  let server: TestApp;
  beforeAll(async () => {
    server = await startApp([SessionModule, HealthModule, LiveModule]);
  });
  afterAll(() => server.stop());

  it('gives a cookie that only the server can read, and takes it back at log-out', async () => {
    const response = await fetch(`${server.url}/api/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'admin', password: ADMIN_PASSWORD }),
    });
    const header = response.headers.get('set-cookie') ?? '';
    expect(header).toMatch(/HttpOnly/);
    expect(header).toMatch(/SameSite=Strict/);
    const cookie = header.split(';')[0] ?? '';
    expect((await fetch(`${server.url}/api/session`, { headers: { cookie } })).status).toBe(200);
    await fetch(`${server.url}/api/session`, { method: 'DELETE', headers: { cookie } });
    expect((await fetch(`${server.url}/api/session`, { headers: { cookie } })).status).toBe(401);
  });

  it('says the same for a wrong name and a wrong password', async () => {
    const wrong = await logIn(server.url, 'not the password');
    expect(wrong).toMatchObject({ status: 401, body: { error: { code: 'LOGIN_FAILED' } } });
    await expect(
      server.anonymous.call('login', { body: { username: 'nobody', password: 'not the password' } }),
    ).rejects.toMatchObject({ code: 'LOGIN_FAILED', message: 'the name or the password is wrong' });
  });

  it('is needed for everything but health', async () => {
    await expect(server.anonymous.call('me', {})).rejects.toMatchObject({ status: 401, code: 'NOT_LOGGED_IN' });
    await expect(server.anonymous.call('health', {})).resolves.toMatchObject({ database: true, broker: false });
    expect((await fetch(`${server.url}/api/live`)).status).toBe(401);
  });

  it('with a cookie does not act for a page of another site', async () => {
    const { cookie } = await logIn(server.url, ADMIN_PASSWORD);
    const response = await fetch(`${server.url}/api/tokens`, {
      method: 'POST',
      headers: { cookie, origin: 'https://evil.example', 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'stolen' }),
    });
    expect(response.status).toBe(403);
  });

  it('names the field of a request that is wrong', async () => {
    const admin = await server.admin();
    await expect(admin.call('createApiToken', { body: { name: '', expiresInDays: 1 } })).rejects.toMatchObject({
      status: 400,
      code: 'REQUEST_INVALID',
      message: expect.stringMatching(/^name: /),
    });
  });

  it('gives tokens that work until they are revoked, and only with the rights of their owner', async () => {
    const admin = await server.admin();
    const created = await admin.call('createApiToken', { body: { name: 'ci', role: 'viewer' } });
    const viewer = createClient({ baseUrl: server.url, token: created.token });
    await expect(viewer.call('me', {})).resolves.toMatchObject({ username: 'admin', role: 'viewer' });
    await expect(viewer.call('createApiToken', { body: { name: 'more', role: 'admin' } })).rejects.toMatchObject({
      code: 'ROLE_TOO_LOW',
    });
    await admin.call('revokeApiToken', { path: { id: created.id } });
    await expect(viewer.call('me', {})).rejects.toMatchObject({ status: 401 });
  });

  it('lets a token make others that end with it, on its day and at its revocation', async () => {
    const admin = await server.admin();
    const short = await admin.call('createApiToken', { body: { name: 'leaked', expiresInDays: 1 } });
    const thief = createClient({ baseUrl: server.url, token: short.token });
    const child = await thief.call('createApiToken', { body: { name: 'kept', expiresInDays: 365 } });
    expect(child.expiresAt).toBe(short.expiresAt);
    const again = createClient({ baseUrl: server.url, token: child.token });
    const grandchild = await again.call('createApiToken', { body: { name: 'kept too', expiresInDays: 365 } });
    expect(grandchild.expiresAt).toBe(short.expiresAt);
    await admin.call('revokeApiToken', { path: { id: short.id } });
    for (const { token } of [short, child, grandchild]) {
      const client = createClient({ baseUrl: server.url, token });
      await expect(client.call('me', {})).rejects.toMatchObject({ status: 401 });
    }
    await expect(admin.call('me', {})).resolves.toMatchObject({ username: 'admin' });
  });

  it('gives a user a hundred tokens, of which what has expired is none', async () => {
    const prisma = server.app.get(PrismaService);
    const { id: userId } = await prisma.user.create({ data: { username: 'many', passwordHash: 'x', role: 'viewer' } });
    const sessions = server.app.get(SessionService);
    const user = { id: userId, username: 'many', role: 'viewer' } as const;
    const make = () => sessions.createToken({ user }, { name: 'one', expiresInDays: 1 });
    const expiresAt = new Date(0);
    const old = (at: number) => ({
      userId,
      name: 'old',
      role: 'viewer' as const,
      secretDigest: `old-${at}`,
      expiresAt,
    });
    await prisma.apiToken.createMany({ data: Array.from({ length: 100 }, (_, at) => old(at)) });
    const outcomes = await Promise.allSettled(Array.from({ length: 104 }, make));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(100);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ status: 409, code: 'TOKENS_FULL' });
    }
  });

  it('changes the password, and with it ends the sessions that the old one opened', async () => {
    const { cookie } = await logIn(server.url, ADMIN_PASSWORD);
    const admin = await server.admin();
    const next = 'another long password';
    await expect(admin.call('changePassword', { body: { current: 'a wrong guess', next } })).rejects.toMatchObject({
      status: 403,
      code: 'PASSWORD_WRONG',
    });
    await admin.call('changePassword', { body: { current: ADMIN_PASSWORD, next } });
    expect((await fetch(`${server.url}/api/session`, { headers: { cookie } })).status).toBe(401);
    expect((await logIn(server.url, ADMIN_PASSWORD)).status).toBe(401);
    expect((await logIn(server.url, next)).status).toBe(200);
    await admin.call('changePassword', { body: { current: next, next: ADMIN_PASSWORD } });
  });

  it('serves the contract as OpenAPI', async () => {
    const document = (await (await fetch(`${server.url}/api/docs-json`)).json()) as {
      paths: Record<string, Record<string, { operationId: string; requestBody?: object }>>;
    };
    expect(document.paths['/api/session']?.post).toMatchObject({ operationId: 'login' });
    expect(JSON.stringify(document.paths['/api/session']?.post?.requestBody)).toContain('password');
  });

  it('lets a browser follow what happens', async () => {
    const { cookie } = await logIn(server.url, ADMIN_PASSWORD);
    const response = await fetch(`${server.url}/api/live`, { headers: { cookie } });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await server.app.get(LiveBus).publish({ type: 'device', device: 'dabcdefgh12', online: true });
    const { value } = await reader.read();
    expect(Buffer.from(value ?? []).toString()).toBe(
      'data: {"type":"device","device":"dabcdefgh12","online":true}\n\n',
    );
    await reader.cancel();
  });
});
