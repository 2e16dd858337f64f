import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '@bpfleet/embedded';
import type { EmbeddedPostgres } from '@bpfleet/embedded';
import pg from 'pg';

export interface TestPostgres {
  /** Connection string of the role that may create databases. */
  readonly url: string;
}

export interface TestDatabase {
  readonly url: string;
  /** Closes whatever is still connected and removes the database. */
  drop(): Promise<void>;
}

const WAIT_MS = 120_000;
const POLL_MS = 50;
const SETTINGS = { port: 0, database: 'bpfleet_test', durable: false, maxConnections: 200 } as const;

let shared: Promise<TestPostgres> | undefined;

/**
 * One PostgreSQL for a whole jest run, started by the first test that asks, stopped by jest's global teardown or, if jest
 * is killed, by its guard. Outside jest's set-up it belongs to the calling process.
 */
export function startTestPostgres(): Promise<TestPostgres> {
  shared ??= process.env['BPFLEET_TEST_RUN_DIR'] ? joinRun(process.env['BPFLEET_TEST_RUN_DIR']) : startOwn();
  return shared;
}

async function startOwn(): Promise<TestPostgres> {
  const dataDir = mkdtempSync(join(tmpdir(), 'bpfleet-test-own-'));
  chmodSync(dataDir, 0o711);
  const server = await startEmbeddedPostgres({ dataDir, ...SETTINGS });
  server.unref();
  process.once('exit', () => rmSync(dataDir, { recursive: true, force: true }));
  return server;
}

async function startForRun(runDir: string): Promise<EmbeddedPostgres> {
  const ownerPid = Number(process.env['BPFLEET_TEST_RUN_PID']);
  const server = await startEmbeddedPostgres({ dataDir: join(runDir, 'postgres'), ...SETTINGS, ownerPid });
  // This worker may end long before the run does.
  server.unref();
  const file = join(runDir, 'postgres.json');
  writeFileSync(`${file}.tmp`, JSON.stringify({ url: server.url, pid: server.pid }), { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
  return server;
}

/** Workers are processes of their own: making a folder is the lock that lets exactly one of them start the server. */
async function joinRun(runDir: string): Promise<TestPostgres> {
  const file = join(runDir, 'postgres.json');
  const lock = join(runDir, 'postgres.lock');
  const deadline = Date.now() + WAIT_MS;
  while (!existsSync(file)) {
    if (Date.now() > deadline) throw new Error(`no test PostgreSQL appeared in ${runDir} within ${WAIT_MS / 1000} s`);
    try {
      mkdirSync(lock);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      continue;
    }
    try {
      if (!existsSync(file)) await startForRun(runDir);
    } finally {
      rmdirSync(lock);
    }
  }
  return JSON.parse(readFileSync(file, 'utf8')) as TestPostgres;
}

async function administer(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** An empty database of its own for one test file, on the shared server. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = await startTestPostgres();
  const name = `t_${randomBytes(8).toString('hex')}`;
  await administer(server.url, `CREATE DATABASE ${name}`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => administer(server.url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}
