import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient, routes } from './index.js';

describe('the client', () => {
  let server: Server;
  let baseUrl: string;
  const seen: { method?: string | undefined; url?: string | undefined; authorization?: string | undefined }[] = [];
  const answers = new Map<string, { status: number; body: string }>();

  beforeAll(async () => {
    server = createServer((request, response) => {
      seen.push({ method: request.method, url: request.url, authorization: request.headers.authorization });
      const answer = answers.get((request.url ?? '').split('?')[0] ?? '') ?? { status: 404, body: '<html>' };
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  it('fills path and query, and sends its token', async () => {
    answers.set('/api/telemetry/metrics', { status: 200, body: '{"items":[]}' });
    const client = createClient({ baseUrl, token: 'secret' });
    await client.call('listMetrics', { query: { device: 'dabcdefgh12' } });
    expect(seen.at(-1)).toEqual({
      method: 'GET',
      url: '/api/telemetry/metrics?device=dabcdefgh12',
      authorization: 'Bearer secret',
    });
    await client.call('getDevice', { path: { id: 'a/b' } }).catch(() => undefined);
    expect(seen.at(-1)?.url).toBe('/api/devices/a%2Fb');
  });

  it('hands on the server’s code and sentence', async () => {
    const error = { code: 'TOKEN_EXPIRED', message: 'the token expired', details: { at: 1 } };
    answers.set('/api/enrol', { status: 422, body: JSON.stringify({ error }) });
    const body = { token: 't', csr: 'c', hostname: 'h' };
    await expect(createClient({ baseUrl }).call('enrol', { body })).rejects.toMatchObject({ status: 422, ...error });
  });

  it('says so when an answer is not what the contract says, or no answer comes', async () => {
    answers.set('/api/session', { status: 200, body: '{"id":1}' });
    const client = createClient({ baseUrl });
    await expect(client.call('me', {})).rejects.toMatchObject({ code: 'API_CONTRACT' });
    await expect(client.call('listProbes', {})).rejects.toMatchObject({ code: 'API_CONTRACT' });
    const nobody = createClient({ baseUrl: 'http://127.0.0.1:1' });
    await expect(nobody.call('me', {})).rejects.toMatchObject({
      code: 'API_UNREACHABLE',
      status: 0,
      message: expect.stringMatching(/^http:\/\/127\.0\.0\.1:1 does not answer: (?!fetch failed)./),
    });
  });
});

describe('the route table', () => {
  it('names no method and path twice', () => {
    const keys = Object.values(routes).map(({ method, path }) => `${method} ${path}`);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('device ids in queries', () => {
  it.each(['listMetrics', 'series', 'heatmap', 'events', 'profile', 'listRuns'] as const)(
    '%s refuses one that holds / + or #, and says what an id is',
    (name) => {
      const rest = { metric: 'm', probe: 'p', event: 'e', profile: 'x' };
      const known = Object.keys((routes[name].query as { shape?: object }).shape ?? {});
      const query = Object.fromEntries(
        Object.entries({ device: 'd/+#aaaaaaa', ...rest }).filter(([key]) => known.includes(key)),
      );
      const result = routes[name].query.safeParse(query);
      expect(result.error?.issues.map(({ path, message }) => [path.join('.'), message])).toEqual([
        ['device', 'a device id is d and 8 to 31 of a-z and 0-9; it never holds / + or #'],
      ]);
    },
  );
});
