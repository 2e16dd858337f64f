import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { findTool } from './host-tools.js';
import { JailError, refusedJail } from './error.js';

export interface JailLimits {
  timeoutMs: number;
  /** Of standard output and standard error, each; one byte more ends the run. */
  outputBytesMax: number;
  cpuSecondsMax: number;
  /** Address space, for programs that do not reserve what they never use. */
  addressBytesMax?: number;
  /** Private writable memory, for those that do, such as Node. */
  dataBytesMax?: number;
  openFilesMax: number;
}

export interface JailRun {
  /** What bubblewrap is told, before the command. */
  bwrap: readonly string[];
  command: readonly string[];
  limits: JailLimits;
  stdin?: Buffer;
  /** An open file that becomes descriptor 3 of bubblewrap. */
  seccompFd?: number;
  /** Needs CAP_SYS_RESOURCE where the limit is lower. */
  unlimitedLockedMemory?: boolean;
}

export type JailEnd = 'exited' | 'signalled' | 'timeout' | 'output';

export interface JailResult {
  end: JailEnd;
  code: number | null;
  signal: string | null;
  stdout: Buffer;
  stderr: Buffer;
}

/** The descriptor by which bubblewrap finds the filter: the first after the standard three. */
export const SECCOMP_FD = 3;

// What the two programs around the command begin their own complaints with.
const COMPLAINT = /^(?:bwrap|prlimit): .*$/m;

function prlimitArguments(run: JailRun): string[] {
  const { limits } = run;
  return [
    '--core=0',
    `--cpu=${limits.cpuSecondsMax}`,
    `--nofile=${limits.openFilesMax}`,
    `--fsize=${limits.outputBytesMax}`,
    ...(limits.addressBytesMax === undefined ? [] : [`--as=${limits.addressBytesMax}`]),
    ...(limits.dataBytesMax === undefined ? [] : [`--data=${limits.dataBytesMax}`]),
    ...(run.unlimitedLockedMemory ? ['--memlock=unlimited'] : []),
  ];
}

/** Collects at most `bytesMax` and calls `overflow` once when there was more. */
function collect(stream: Readable, bytesMax: number, overflow: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    const room = bytesMax - bytes;
    bytes += chunk.length;
    if (room > 0) chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
    if (bytes > bytesMax) overflow();
  });
  return () => Buffer.concat(chunks);
}

/**
 * The group is bubblewrap and what it started; --die-with-parent takes process 1 of the namespace along, and with it
 * everything inside, also what left the group.
 */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Runs one command in a jail. Rejects with JailError only when the jail itself did not come up. */
export async function runInJail(run: JailRun): Promise<JailResult> {
  const prlimit = await findTool('prlimit', 'util-linux');
  const bwrap = await findTool('bwrap', 'bubblewrap');
  const seccomp = run.seccompFd === undefined ? [] : ['--seccomp', String(SECCOMP_FD)];
  const args = [...prlimitArguments(run), bwrap, '--die-with-parent', ...seccomp, ...run.bwrap, '--', ...run.command];
  const child = spawn(prlimit, args, {
    detached: true,
    env: {},
    cwd: '/',
    stdio: [run.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe', ...(run.seccompFd === undefined ? [] : [run.seccompFd])],
  });
  return new Promise<JailResult>((resolve, reject) => {
    let cut: 'timeout' | 'output' | undefined;
    const stop = (why: 'timeout' | 'output') => {
      cut ??= why;
      killGroup(child);
    };
    const timer = setTimeout(() => stop('timeout'), run.limits.timeoutMs);
    const stdout = collect(child.stdout as Readable, run.limits.outputBytesMax, () => stop('output'));
    const stderr = collect(child.stderr as Readable, run.limits.outputBytesMax, () => stop('output'));
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(new JailError(`the jail did not start: ${error.message}`, 'util-linux'));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const complaint = COMPLAINT.exec(stderr().toString('utf8'));
      if (complaint && code !== 0) {
        reject(refusedJail(complaint[0]));
        return;
      }
      const end = cut ?? (signal === null ? 'exited' : 'signalled');
      resolve({ end, code, signal, stdout: stdout(), stderr: stderr() });
    });
    // A command that ends before it has read its input is judged by its exit, not by our broken pipe.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(run.stdin);
  });
}
