import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { errorBodySchema, type ErrorBody } from '@bpfleet/api';
import { ADMIN_PASSWORD, logIn, startApp, type TestApp } from '../../test/start-app.js';
import { HealthModule } from '../features/health/index.js';
import { SessionModule } from '../features/session/index.js';

let server: TestApp;
let cookie: string;
beforeAll(async () => {
  server = await startApp([SessionModule, HealthModule]);
  cookie = (await logIn(server.url, ADMIN_PASSWORD)).cookie;
});
afterAll(() => server.stop());

interface Refused extends ErrorBody {
  readonly status: number;
}

async function refusalOf(response: Response): Promise<Refused> {
  return { status: response.status, ...errorBodySchema.parse(await response.json()) };
}

async function post(path: string, body: string, headers: Record<string, string> = {}): Promise<Refused> {
  const all = { cookie, 'content-type': 'application/json', ...headers };
  return refusalOf(await fetch(`${server.url}${path}`, { method: 'POST', headers: all, body }));
}

/** As it stands: `fetch` would tidy up the path. */
function rawPath(method: string, path: string): Promise<Refused> {
  return new Promise((resolve, reject) => {
    const sent = request(server.url, { method, path, headers: { cookie } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, ...errorBodySchema.parse(JSON.parse(text)) });
      });
    });
    sent.once('error', reject).end();
  });
}

describe('a hostile request', () => {
  it.each([
    ['\u0000', 'NUL'],
    ['a\ud800', 'NUL'],
  ])('with a text that PostgreSQL cannot hold (%j) is told which one', async (name) => {
    expect(await post('/api/tokens', JSON.stringify({ name }))).toMatchObject({
      status: 400,
      error: { code: 'REQUEST_INVALID', message: expect.stringMatching(/^name: holds a NUL or half a character/) },
    });
  });

  it('with such a text in its path is told so too', async () => {
    const response = await fetch(`${server.url}/api/tokens/%00`, { method: 'DELETE', headers: { cookie } });
    expect(await refusalOf(response)).toMatchObject({
      status: 400,
      error: { message: expect.stringMatching(/^id: /) },
    });
  });

  it('that is a form is not taken, so that no page of another site can make one', async () => {
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x']) {
      expect(await post('/api/tokens', 'name=stolen', { 'content-type': type })).toMatchObject({
        status: 415,
        error: { message: expect.stringContaining('application/json') },
      });
    }
  });

  it.each(['null', 'garbage', 'https://evil.example', 'http://127.0.0.1:1'])(
    'from the origin %s does not act with a session',
    async (origin) => {
      expect(await post('/api/tokens', '{"name":"stolen"}', { origin })).toMatchObject({
        status: 403,
        error: { code: 'ORIGIN_FOREIGN' },
      });
    },
  );

  it('that is too large is told how large it may be', async () => {
    expect(await post('/api/tokens', `"${'x'.repeat(17 * 1024 * 1024)}"`)).toMatchObject({
      status: 413,
      error: { code: 'REQUEST_TOO_LARGE', message: expect.stringContaining('8 MiB') },
    });
  });

  it('with an address that is none gets the same shape of answer, and not its address back', async () => {
    expect(await rawPath('DELETE', '/api/tokens/%zz')).toMatchObject({
      status: 400,
      error: { code: 'REQUEST_INVALID' },
    });
    const long = `/api/tokens/${'x'.repeat(5000)}`;
    const answers = [await rawPath('DELETE', long), await rawPath('GET', long)];
    expect(answers).toMatchObject([
      { status: 414, error: { code: 'REQUEST_INVALID' } },
      { status: 404, error: { code: 'ROUTE_UNKNOWN' } },
    ]);
    for (const { error } of answers) expect(error.message.length).toBeLessThan(250);
  });
});
