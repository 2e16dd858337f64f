import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';

export interface GuardedProcessOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
  readonly gid?: number;
  readonly stdio?: StdioOptions;
  /** What the guard sends first when the owner has gone. */
  readonly stopSignal?: 'SIGTERM' | 'SIGINT';
  /** How long the child may take to stop before the guard kills its whole process group. */
  readonly stopGraceSeconds?: number;
  /** The process whose end is the child's end; default: this one. A jest worker names jest itself here. */
  readonly ownerPid?: number;
}

// Nothing inside a process can run after `kill -9`, so a shell of a few hundred KB waits beside each child. It learns of
// the owner's end from its standard input (end of file), or by looking at a process that is not its parent.
const GUARD_SCRIPT = `
child=$1 signal=$2 grace=$3 owner=$4
if [ -n "$owner" ]; then
  while kill -0 "$owner" 2>/dev/null; do kill -0 "$child" 2>/dev/null || exit 0; sleep 1; done
else
  read -r finished && exit 0
fi
kill -s "$signal" "$child" 2>/dev/null || exit 0
while [ "$grace" -gt 0 ] && kill -0 "$child" 2>/dev/null; do sleep 1; grace=$((grace - 1)); done
kill -s KILL -- "-$child" 2>/dev/null
`;

/**
 * Starts a child in a session of its own (Ctrl-C in a terminal does not reach it: its owner decides the order in which
 * things stop) with a guard that ends it when its owner is gone, even by `kill -9`.
 */
export function spawnGuarded(
  command: string,
  args: readonly string[],
  options: GuardedProcessOptions = {},
): ChildProcess {
  const { stopSignal = 'SIGTERM', stopGraceSeconds = 15, ownerPid, ...rest } = options;
  const child = spawn(command, args, { ...rest, stdio: options.stdio ?? 'ignore', detached: true });
  if (child.pid === undefined) return child;
  const guard = spawn(
    '/bin/sh',
    [
      '-c',
      GUARD_SCRIPT,
      'guard',
      `${child.pid}`,
      stopSignal.slice(3),
      `${stopGraceSeconds}`,
      ownerPid ? `${ownerPid}` : '',
    ],
    { cwd: '/', stdio: [ownerPid ? 'ignore' : 'pipe', 'ignore', 'ignore'], detached: true },
  );
  guard.on('error', () => child.kill('SIGKILL'));
  guard.stdin?.on('error', () => undefined);
  guard.unref();
  if (guard.stdin && 'unref' in guard.stdin) (guard.stdin as unknown as { unref(): void }).unref();
  child.once('exit', () => guard.stdin?.end('finished\n'));
  return child;
}
