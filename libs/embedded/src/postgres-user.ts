import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { EmbeddedError } from './embedded-error.js';

/** PostgreSQL refuses to run as root, so root lends its server to this user, who owns the data and nothing else. */
export const POSTGRES_SYSTEM_USER = 'bpfleet-postgres';

export interface RunAs {
  readonly uid?: number;
  readonly gid?: number;
}

function findUser(name: string): { uid: number; gid: number } | undefined {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const fields = line.split(':');
    if (fields[0] === name) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  return undefined;
}

/**
 * The user that PostgreSQL will run as: this process's own, or for root an unprivileged system user, made when missing.
 * @throws EmbeddedError NO_SYSTEM_USER
 */
export function postgresUser(): RunAs {
  if (process.getuid?.() !== 0) return {};
  const args = ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent'];
  const command = ['useradd', ...args, '--shell', '/usr/sbin/nologin', POSTGRES_SYSTEM_USER];
  // Two servers that start together both see no user; one useradd then finds the name taken or /etc/passwd locked.
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const found = findUser(POSTGRES_SYSTEM_USER);
    if (found) return found;
    spawnSync('flock', ['/etc', ...command], { stdio: 'ignore' });
  }
  const made = findUser(POSTGRES_SYSTEM_USER);
  if (made) return made;
  throw new EmbeddedError(
    'NO_SYSTEM_USER',
    `PostgreSQL does not run as root and the system user ${POSTGRES_SYSTEM_USER} could not be made; run: ${command.join(' ')}`,
    { user: POSTGRES_SYSTEM_USER },
  );
}

/** Whether that user can reach and execute (or, for a folder, enter) `path`. */
export function canReach(path: string, user: RunAs): boolean {
  return spawnSync('test', ['-x', path], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;
}
