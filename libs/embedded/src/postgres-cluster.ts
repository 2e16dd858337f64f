import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedError } from './embedded-error.js';
import { canReach } from './postgres-user.js';
import type { RunAs } from './postgres-user.js';

/** Role that owns the cluster; there is no other way in than its scram password. */
export const POSTGRES_ROLE = 'bpfleet';
export const POSTGRES_ENV: NodeJS.ProcessEnv = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

const run = promisify(execFile);

/** Makes the data folder, enterable by the user PostgreSQL runs as. @throws EmbeddedError DATA_DIR_UNREACHABLE */
export function prepareDataDir(dataDir: string, user: RunAs): void {
  const firstMade = mkdirSync(dataDir, { recursive: true });
  if (user.uid === undefined) {
    chmodSync(dataDir, 0o700);
    return;
  }
  // A strict umask would make new parents private to root; opening a folder that was there before is not for us to do.
  for (let path = dataDir; firstMade && path.length >= firstMade.length; path = dirname(path)) chmodSync(path, 0o711);
  if (!firstMade) chmodSync(dataDir, 0o711);
  if (canReach(dataDir, user)) return;
  throw new EmbeddedError(
    'DATA_DIR_UNREACHABLE',
    `The data folder ${dataDir} lies under a folder that only its owner may enter, and PostgreSQL does not run as root; choose another data folder.`,
    { dataDir },
  );
}

function clusterPassword(dataDir: string): string {
  const file = join(dataDir, 'password');
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const password = randomBytes(24).toString('base64url');
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  return password;
}

async function initialise(options: {
  binDir: string;
  cluster: string;
  password: string;
  user: RunAs;
  durable: boolean;
}): Promise<void> {
  const { binDir, cluster, user } = options;
  const unfinished = `${cluster}.unfinished`;
  const passwordFile = `${cluster}.password`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  rmSync(passwordFile, { force: true });
  writeFileSync(passwordFile, `${options.password}\n`, { mode: 0o600 });
  if (user.uid !== undefined && user.gid !== undefined) {
    chownSync(unfinished, user.uid, user.gid);
    chownSync(passwordFile, user.uid, user.gid);
  }
  const args = [
    '-D',
    unfinished,
    '-U',
    POSTGRES_ROLE,
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
  ];
  args.push(
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    ...(options.durable ? [] : ['--no-sync']),
  );
  try {
    await run(join(binDir, 'initdb'), args, { ...user, cwd: '/', env: POSTGRES_ENV, timeout: 120_000 });
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? error).trim();
    throw new EmbeddedError('INITDB_FAILED', `PostgreSQL could not make its data folder: ${reasonIn(said)}`, { said });
  } finally {
    rmSync(passwordFile, { force: true });
  }
  // Only a finished cluster gets the name: a crash in mid-initdb must not leave something that looks like data.
  renameSync(unfinished, cluster);
}

/** initdb ends by saying that it tidies up; why is said before that. */
export function reasonIn(said: string): string {
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  const reason = lines.find((line) => /\b(FATAL|PANIC|error|could not)\b/.test(line)) ?? lines.at(-1);
  return reason?.trim() ?? 'initdb gave no reason';
}

async function takeOwnership(cluster: string, user: RunAs): Promise<void> {
  if (user.uid === undefined || statSync(cluster).uid === user.uid) return;
  await run('chown', ['-R', `${user.uid}:${user.gid}`, cluster]);
}

/** Opens the cluster under `dataDir`, making it first if it is not there, and says its password. */
export async function openCluster(options: {
  dataDir: string;
  binDir: string;
  user: RunAs;
  durable: boolean;
}): Promise<{ cluster: string; password: string }> {
  const cluster = join(options.dataDir, 'cluster');
  const password = clusterPassword(options.dataDir);
  if (existsSync(cluster)) await takeOwnership(cluster, options.user);
  else await initialise({ ...options, cluster, password });
  return { cluster, password };
}

export interface PostmasterState {
  readonly pid: number;
  readonly ready: boolean;
}

/** What postmaster.pid says; its lines are fixed by PostgreSQL's pidfile.h (1: pid, 8: status). */
export function readPostmasterPid(cluster: string): PostmasterState | undefined {
  try {
    const lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
    return { pid: Number(lines[0]), ready: lines[7]?.trim() === 'ready' };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function runsIn(pid: number, cluster: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === cluster;
  } catch {
    return false;
  }
}

/**
 * Deals with the postmaster.pid of an earlier run. PostgreSQL trusts any living process with that number, and after a
 * reboot or in a container small numbers come again, so the file goes unless a process really works in this folder.
 * A server whose owner was just killed is still shutting down: it gets `waitMs`.
 * @throws EmbeddedError DATA_DIR_IN_USE
 */
export async function clearStalePid(cluster: string, waitMs = 15_000): Promise<void> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const state = readPostmasterPid(cluster);
    if (!state) return;
    if (!runsIn(state.pid, cluster)) {
      rmSync(join(cluster, 'postmaster.pid'), { force: true });
      return;
    }
    if (Date.now() > deadline) {
      throw new EmbeddedError(
        'DATA_DIR_IN_USE',
        `Another PostgreSQL (process ${state.pid}) is using ${cluster}; stop it first.`,
        {
          pid: state.pid,
          cluster,
        },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
