import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CommandContext } from '../context.js';
import { CliError, exitCodes } from '../exit-code.js';

export interface Credentials {
  /** `https://host:port`, without a slash at the end. */
  server: string;
  token: string;
  /** Set for a token that `login` made, so that `logout` can revoke it. */
  tokenId?: string;
  username?: string;
}

type Place = Pick<CommandContext, 'env' | 'homeDir'>;

export function configPath({ env, homeDir }: Place): string {
  return join(env.XDG_CONFIG_HOME || join(homeDir, '.config'), 'bpfleet', 'config.json');
}

/** @throws CliError SERVER_URL */
export function cleanServer(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new CliError(
      'SERVER_URL',
      `${JSON.stringify(text)} is not a server: it should look like https://fleet.example.com`,
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

/**
 * BPFLEET_SERVER and BPFLEET_TOKEN go before the file that `bpfleet login` wrote.
 * @throws CliError NOT_LOGGED_IN, CONFIG_UNREADABLE, SERVER_URL
 */
export async function readCredentials(place: Place): Promise<Credentials> {
  const { BPFLEET_SERVER: server, BPFLEET_TOKEN: token } = place.env;
  if (server && token) return { server: cleanServer(server), token };
  const stored = await readStored(place);
  // A token is for one server: the stored one must never be sent to another.
  if (server && stored && stored.server !== cleanServer(server) && !token) throw notLoggedIn(cleanServer(server));
  const merged = { ...stored, ...(server && { server: cleanServer(server) }), ...(token && { token }) };
  if (!merged.server || !merged.token) throw notLoggedIn(merged.server);
  return { ...merged, server: merged.server, token: merged.token };
}

function notLoggedIn(server: string | undefined): CliError {
  const where = server ?? 'https://fleet.example.com';
  return new CliError(
    'NOT_LOGGED_IN',
    `not logged in: run bpfleet login --server ${where} --username NAME, or set BPFLEET_SERVER and BPFLEET_TOKEN`,
    exitCodes.notLoggedIn,
  );
}

export async function readStored(place: Place): Promise<Credentials | undefined> {
  const path = configPath(place);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CliError('CONFIG_UNREADABLE', `${path} cannot be read: ${(cause as Error).message}`, exitCodes.failure);
  }
  const value = parseJson(text) as Partial<Credentials> | undefined;
  if (typeof value?.server !== 'string' || typeof value.token !== 'string') {
    throw new CliError('CONFIG_UNREADABLE', `${path} is not what bpfleet login writes: remove it and log in again`);
  }
  return { server: value.server, token: value.token, tokenId: value.tokenId, username: value.username };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Readable by its owner alone, and never half written. */
export async function storeCredentials(place: Place, credentials: Credentials): Promise<string> {
  const path = configPath(place);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const next = `${path}.${process.pid}`;
  await writeFile(next, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
  await rename(next, path);
  return path;
}

export async function forgetCredentials(place: Place): Promise<void> {
  await rm(configPath(place), { force: true });
}
