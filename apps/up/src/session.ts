import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { ApiError, createClient } from '@bpfleet/api';
import type { ApiClient } from '@bpfleet/api';
import type { DataFolder } from './data-folder.js';

export interface Session {
  readonly client: ApiClient;
  readonly token: string;
}

const TOKEN_DAYS = 365;

/** A fetch that keeps the session cookie of a log-in, which is all a browser would do. */
function fetchWithCookies(): typeof fetch {
  let cookie = '';
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    if (cookie) headers.set('cookie', cookie);
    const response = await fetch(input, { ...init, headers });
    cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
    return response;
  };
}

function isRefusedLogin(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 401 || error.status === 403);
}

async function reuse(baseUrl: string, tokenFile: string): Promise<Session | undefined> {
  if (!existsSync(tokenFile)) return undefined;
  const token = readFileSync(tokenFile, 'utf8').trim();
  const client = createClient({ baseUrl, token });
  try {
    await client.call('me', {});
    return { client, token };
  } catch (error) {
    if (!isRefusedLogin(error)) throw error;
    rmSync(tokenFile, { force: true });
    return undefined;
  }
}

/**
 * The supervisor talks to the server like any other program: with an API token, made once with the first-use password.
 * undefined when the password was changed and no token is left: then only a person can do what is missing.
 */
export async function openSession(baseUrl: string, data: DataFolder): Promise<Session | undefined> {
  const kept = await reuse(baseUrl, data.tokenFile);
  if (kept) return kept;
  const browser = createClient({ baseUrl, fetch: fetchWithCookies() });
  try {
    await browser.call('login', { body: { username: 'admin', password: data.password } });
  } catch (error) {
    if (isRefusedLogin(error)) return undefined;
    throw error;
  }
  const { token } = await browser.call('createApiToken', { body: { name: 'npm run up', expiresInDays: TOKEN_DAYS } });
  await browser.call('logout', {});
  writeFileSync(data.tokenFile, `${token}\n`, { mode: 0o600 });
  return { client: createClient({ baseUrl, token }), token };
}

/** Whether the first-use password still opens the door: if so it is worth printing. */
export async function passwordStillWorks(baseUrl: string, data: DataFolder): Promise<boolean> {
  const browser = createClient({ baseUrl, fetch: fetchWithCookies() });
  try {
    await browser.call('login', { body: { username: 'admin', password: data.password } });
    await browser.call('logout', {});
    return true;
  } catch (error) {
    if (isRefusedLogin(error)) return false;
    throw error;
  }
}
