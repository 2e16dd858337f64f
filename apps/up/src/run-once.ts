import { createInterface } from 'node:readline';
import { spawnGuarded } from '@bpfleet/embedded';
import { reasonOf } from './process-log.js';
import { Refusal } from './refusal.js';

export interface OneShot {
  /** What it does, for the sentence when it fails: "enrolling this machine". */
  readonly doing: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly timeoutMs: number;
}

const OUTPUT_CHARS_MAX = 4 * 1024 * 1024;

/** Runs one of our own programs to its end and gives what it printed. @throws Refusal with its last words */
export async function runOnce(shot: OneShot): Promise<string> {
  const child = spawnGuarded(process.execPath, shot.args, {
    cwd: shot.cwd,
    env: shot.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: string[] = [];
  const complaints: string[] = [];
  let chars = 0;
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    chars += line.length;
    if (chars < OUTPUT_CHARS_MAX) output.push(line);
  });
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    if (line.trim() !== '' && complaints.push(line) > 50) complaints.shift();
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), shot.timeoutMs);
  const how = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) =>
      resolve(code === 0 ? undefined : signal ? `ended by ${signal}` : `exit code ${code}`),
    );
  });
  clearTimeout(timer);
  if (how === undefined) return output.join('\n');
  const said = reasonOf(complaints.findLast((line) => !/^\s+at /.test(line)) ?? output.at(-1) ?? '');
  throw new Refusal(`${shot.doing} failed (${how}): ${said || 'it said nothing'}`);
}
