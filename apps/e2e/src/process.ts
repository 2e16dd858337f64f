import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import type { ChildProcess } from 'node:child_process';
import { spawnGuarded } from '@bpfleet/embedded';

const READY_TIMEOUT_MS = 60_000;

export interface StartedProcess {
  readonly pid: number;
  /** The JSON object of its `{"ready":true,…}` line. */
  readonly ready: Record<string, unknown>;
  /** Sends the signal and resolves when the process has ended. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** `node <script> <args>`, as `startProgram`. */
export function startNode(
  name: string,
  script: string,
  args: readonly string[],
  environment: Record<string, string>,
  logFile: string,
): Promise<StartedProcess> {
  return startProgram(name, [process.execPath, script, ...args], environment, logFile);
}

/** Starts a program and resolves once it says that it is ready; rejects with the end of its log when it does not. */
export async function startProgram(
  name: string,
  [program, ...args]: readonly [string, ...string[]],
  environment: Record<string, string>,
  logFile: string,
): Promise<StartedProcess> {
  mkdirSync(dirname(logFile), { recursive: true });
  const child = spawnGuarded(program, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const tail: string[] = [];
  const log = createWriteStream(logFile, { flags: 'a' });
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    log.write(`${line}\n`);
    tail.push(line);
    if (tail.length > 20) tail.shift();
  });
  const ready = await readyLine(name, child, exited, tail);
  return {
    pid: child.pid as number,
    ready,
    end: async (signal) => {
      child.kill(signal);
      await exited;
      log.end();
    },
  };
}

function readyLine(
  name: string,
  child: ChildProcess,
  exited: Promise<void>,
  tail: readonly string[],
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const failed = (why: string) => reject(new Error(`${name} ${why}:\n${tail.join('\n')}`));
    const timer = setTimeout(() => failed('did not become ready'), READY_TIMEOUT_MS);
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      if (!line.startsWith('{"ready":true')) return;
      clearTimeout(timer);
      resolve(JSON.parse(line) as Record<string, unknown>);
    });
    void exited.then(() => {
      clearTimeout(timer);
      failed('ended at its start');
    });
  });
}

/**
 * Asks again until it is true; the deadline is a bound against hanging, not an expectation of speed. `what` may be a function,
 * to tell what was seen last.
 */
export async function until<T>(
  what: string | (() => string),
  ask: () => Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(
    `${typeof what === 'string' ? what : what()}: not within ${timeoutMs / 1000} s${last instanceof Error ? ` (last: ${last.message})` : ''}`,
  );
}
