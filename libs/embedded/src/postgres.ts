import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { EmbeddedError } from './embedded-error.js';
import { spawnGuarded } from './guarded-process.js';
import { capLogFile } from './log-file.js';
import { freePort, isPortFree } from './ports.js';
import { postgresBinDir } from './postgres-binaries.js';
import {
  POSTGRES_ENV,
  POSTGRES_ROLE,
  clearStalePid,
  openCluster,
  prepareDataDir,
  readPostmasterPid,
} from './postgres-cluster.js';
import { postgresUser } from './postgres-user.js';
import type { RunAs } from './postgres-user.js';

export interface EmbeddedPostgresOptions {
  /** Holds `cluster/` (the data), `password` (0600) and, where the installed binaries cannot be used, a copy of them. */
  readonly dataDir: string;
  /** TCP port on 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  /** Created when missing. */
  readonly database: string;
  /** Default: `postgres.log` in the data folder. Kept below twice 8 MiB. */
  readonly logFile?: string;
  readonly maxConnections?: number;
  /** false gives up crash safety for speed: for tests only. */
  readonly durable?: boolean;
  /** The process whose end stops the server; default: this one. */
  readonly ownerPid?: number;
}

export interface EmbeddedPostgres {
  /** Connection string of the role that owns the database, password included. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Settles when the server has ended, by `stop` or by itself, with a sentence that says how. */
  readonly exited: Promise<string>;
  /** Fast shutdown: open transactions are rolled back, data is on disk. May be called again. */
  stop(): Promise<void>;
  /** Lets this process end while the server runs on (its owner is another process). */
  unref(): void;
}

interface Launch {
  readonly binDir: string;
  readonly cluster: string;
  readonly user: RunAs;
  readonly logFile: string;
  readonly options: EmbeddedPostgresOptions;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 25;
const LAUNCH_ATTEMPTS_MAX = 20;

function settings(options: EmbeddedPostgresOptions, port: number): string[] {
  const values: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: options.maxConnections ?? 100,
    // A query over many partitions takes a lock on each: the default of 64 ends in "out of shared memory".
    max_locks_per_transaction: 256,
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_messages: 'warning',
    jit: 'off',
  };
  if (options.durable === false)
    Object.assign(values, { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' });
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

function logSince(logFile: string, offset: number): string {
  return readFileSync(logFile).subarray(offset).toString('utf8');
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((settle) => {
    child.once('error', (error) => settle(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) => settle(signal ? `was ended by ${signal}` : `ended with code ${code}`));
  });
}

function startFailure(said: string, port: number, how: string): EmbeddedError {
  if (/Address already in use/.test(said)) return portInUse(port);
  const reason = /FATAL: {2}(.*)/.exec(said)?.[1] ?? said.trim().split('\n').at(-1) ?? '';
  return new EmbeddedError('START_FAILED', `PostgreSQL ${how} while starting: ${reason || 'it said nothing'}`, {
    said,
    port,
  });
}

function portInUse(port: number): EmbeddedError {
  return new EmbeddedError(
    'PORT_IN_USE',
    `Port ${port} on 127.0.0.1 is already in use, so PostgreSQL cannot start there.`,
    { port },
  );
}

async function pause(): Promise<void> {
  await new Promise((settle) => setTimeout(settle, POLL_MS));
}

async function launch(to: Launch, port: number): Promise<{ child: ChildProcess; exited: Promise<string> }> {
  capLogFile(to.logFile);
  const log = openSync(to.logFile, 'a', 0o600);
  const logOffset = statSync(to.logFile).size;
  const child = spawnGuarded(join(to.binDir, 'postgres'), ['-D', to.cluster, ...settings(to.options, port)], {
    ...to.user,
    cwd: '/',
    env: POSTGRES_ENV,
    stdio: ['ignore', log, log],
    stopSignal: 'SIGINT',
    ...(to.options.ownerPid === undefined ? {} : { ownerPid: to.options.ownerPid }),
  });
  closeSync(log);
  const exited = exitOf(child);
  let how: string | undefined;
  void exited.then((text) => (how = text));
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (how === undefined) {
    const state = readPostmasterPid(to.cluster);
    if (state?.ready && state.pid === child.pid) return { child, exited };
    if (Date.now() > deadline) {
      child.kill('SIGQUIT');
      throw new EmbeddedError(
        'START_TIMED_OUT',
        `PostgreSQL was not ready after ${START_TIMEOUT_MS / 1000} s; see ${to.logFile}.`,
        { port },
      );
    }
    await pause();
  }
  throw startFailure(logSince(to.logFile, logOffset), port, how);
}

// Two failures pass by themselves: somebody took the port that was free, and the backends of a killed server still hold
// its shared memory for a moment.
async function launchPatiently(to: Launch): Promise<{ child: ChildProcess; exited: Promise<string>; port: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = to.options.port || (await freePort());
    try {
      return { ...(await launch(to, port)), port };
    } catch (error) {
      if (!(error instanceof EmbeddedError) || attempt === LAUNCH_ATTEMPTS_MAX) throw error;
      const anotherPort = error.code === 'PORT_IN_USE' && to.options.port === 0;
      const stillLeaving = /shared memory block .* still in use/.test(String(error.facts['said']));
      if (!anotherPort && !stillLeaving) throw error;
      for (let polls = 0; polls < 20; polls += 1) await pause();
    }
  }
}

async function createDatabase(url: URL, database: string): Promise<void> {
  const maintenance = new URL(url);
  maintenance.pathname = '/postgres';
  const client = new pg.Client({ connectionString: maintenance.href });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (!rowCount) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(database)}`);
  } finally {
    await client.end();
  }
}

function handle(child: ChildProcess, exited: Promise<string>, url: URL, logFile: string): EmbeddedPostgres {
  const capping = setInterval(() => capLogFile(logFile), 60_000);
  capping.unref();
  void exited.then(() => clearInterval(capping));
  return {
    url: url.href,
    port: Number(url.port),
    pid: child.pid as number,
    exited,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGINT');
      const impatience = setTimeout(() => child.kill('SIGQUIT'), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(impatience);
    },
    unref: () => child.unref(),
  };
}

/**
 * Starts a real PostgreSQL 18 from its npm package: TCP on 127.0.0.1 only, scram password, data kept over restarts. Started by
 * root, the server runs as an unprivileged system user who owns the data. It stops when this process ends, however it ends.
 * @throws EmbeddedError with one clear sentence for a port in use, missing binaries, an unreachable or busy data folder
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  if (options.port !== 0 && !(await isPortFree(options.port))) throw portInUse(options.port);
  const user = postgresUser();
  prepareDataDir(resolve(options.dataDir), user);
  const dataDir = realpathSync(options.dataDir);
  const binDir = postgresBinDir(dataDir, user);
  const { cluster, password } = await openCluster({ dataDir, binDir, user, durable: options.durable ?? true });
  await clearStalePid(cluster);
  const logFile = options.logFile ?? join(dataDir, 'postgres.log');
  const { child, exited, port } = await launchPatiently({ binDir, cluster, user, logFile, options });
  const url = new URL(
    `postgres://${POSTGRES_ROLE}:${password}@127.0.0.1:${port}/${encodeURIComponent(options.database)}`,
  );
  const server = handle(child, exited, url, logFile);
  try {
    await createDatabase(url, options.database);
  } catch (error) {
    await server.stop();
    throw new EmbeddedError('START_FAILED', `PostgreSQL started but could not be used: ${(error as Error).message}`, {
      port,
    });
  }
  return server;
}
