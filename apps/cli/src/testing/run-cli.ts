import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../../..');
const main = join(root, 'apps/cli/dist/main.js');

/** What is tested is the program as people run it; a build that is up to date takes a second. */
export async function buildCli(): Promise<void> {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, '--build', 'apps/cli'], { cwd: root });
}

export interface Finished {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  input?: string;
}

function start(args: readonly string[], { env = {} }: RunOptions): ChildProcess {
  // Nothing of the person who runs the tests: no credentials, no home.
  return spawn(process.execPath, [main, ...args], { env: { PATH: process.env.PATH, HOME: '/nonexistent', ...env } });
}

export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = start(args, options);
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  return finish(child);
}

function finish(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ exitCode: code ?? -1, stdout, stderr }));
  });
}

/** A command that goes on until it is told to stop: calls back for each line of its output. */
export async function tailCli(
  args: readonly string[],
  options: RunOptions,
  onLine: (line: string, interrupt: () => void) => void,
): Promise<Finished> {
  const child = start(args, options);
  const finished = finish(child);
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  lines.on('line', (line) => onLine(line, () => child.kill('SIGINT')));
  return finished;
}
