import { readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { AgentError } from '../agent-error.js';

const ATTEMPTS = 3;

/** When the process began, in clock ticks since boot: a process id alone may be somebody else's by now. */
function startTicks(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Agents before this one wrote it into a file. */
function holderOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    return readFileSync(path, 'utf8');
  }
}

/**
 * One agent on one state folder: two would attach everything twice. Returns the release. The lock is a symbolic link to
 * nowhere, whose name says who holds it: it is made whole or not at all, and needs no room on a disk that is full.
 * @throws AgentError STATE_IN_USE
 */
export function lockFolder(path: string): () => void {
  const mine = `${process.pid} ${startTicks(process.pid) ?? ''}`;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      symlinkSync(mine, path);
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pid = '', ticks = ''] = holderOf(path).split(' ');
    if (pid !== '' && ticks !== '' && startTicks(Number(pid)) === ticks) {
      throw new AgentError('STATE_IN_USE', `another agent (process ${pid}) runs on this state folder`, { pid });
    }
    rmSync(path, { force: true });
  }
  throw new AgentError('STATE_IN_USE', 'the state folder is being locked by another agent');
}
