import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Refusal } from './refusal.js';

/** Where one machine keeps everything. Made with the narrowest rights that let PostgreSQL's own user reach its part. */
export interface DataFolder {
  readonly root: string;
  readonly postgres: string;
  readonly server: string;
  readonly agent: string;
  readonly log: string;
  readonly password: string;
  /** File with the API token the supervisor uses for its own calls. */
  readonly tokenFile: string;
  /** Exists once the first probes were published and assigned. */
  readonly onboardedFile: string;
  /** The host that devices were told last. */
  readonly hostFile: string;
  /** First log-in: user `admin`. */
  readonly passwordFile: string;
  release(): void;
}

function readSecret(file: string, make: () => string): string {
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const secret = make();
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return secret;
}

/** Four groups of five letters and digits that cannot be mistaken for one another: made to be typed. */
export function makePassword(bytes: Buffer = randomBytes(20)): string {
  const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789';
  // 256 is no multiple of 31: the few highest values would favour the first letters, so the bytes are folded as one number.
  let number = BigInt(`0x${bytes.toString('hex')}`);
  const characters = Array.from({ length: 20 }, () => {
    const character = alphabet[Number(number % BigInt(alphabet.length))] as string;
    number /= BigInt(alphabet.length);
    return character;
  });
  return [0, 5, 10, 15].map((at) => characters.slice(at, at + 5).join('')).join('-');
}

/** Process start time in clock ticks (proc(5), field 22): with it a process number names one process for good. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function lock(root: string): () => void {
  const file = join(root, 'lock');
  const mine = `${process.pid} ${startTime(process.pid)}`;
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      writeFileSync(file, mine, { flag: 'wx', mode: 0o600 });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pid = '', started] = readFileSync(file, 'utf8').split(' ');
    if (started !== undefined && startTime(Number(pid)) === started) {
      throw new Refusal(
        `bpfleet is already running on ${root} (process ${pid}); stop it first, or choose another folder with --data.`,
      );
    }
    // Its owner is gone (kill -9, power cut): the lock goes too.
    rmSync(file, { force: true });
  }
  throw new Refusal(`Another bpfleet is starting on ${root} at this moment.`);
}

/**
 * What is missing of a path, from the top. Node's own `recursive` tries for ever where a parent is there and yet answers
 * ENOENT (/proc), and says ENOENT for a file system that is read-only.
 */
function makePath(path: string): void {
  const parent = dirname(path);
  if (!existsSync(parent)) makePath(parent);
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
}

function makeFolders(root: string): void {
  try {
    makePath(resolve(root));
    chmodSync(root, 0o711);
    for (const part of ['server', 'agent', 'log']) mkdirSync(join(root, part), { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Refusal(`The data folder ${root} cannot be made or written (${code}); choose another with --data.`);
  }
}

/** Opens the folder, makes what is missing and takes its lock. @throws Refusal when it is in use or cannot be written */
export function openDataFolder(dataDir: string | undefined): DataFolder {
  const root = dataDir ?? mkdtempSync(join(tmpdir(), 'bpfleet-check-'));
  makeFolders(root);
  const unlock = lock(root);
  const passwordFile = join(root, 'first-use-password');
  return {
    root,
    postgres: join(root, 'postgres'),
    server: join(root, 'server'),
    agent: join(root, 'agent'),
    log: join(root, 'log'),
    password: readSecret(passwordFile, makePassword),
    passwordFile,
    tokenFile: join(root, 'up-token'),
    onboardedFile: join(root, 'onboarded'),
    hostFile: join(root, 'host'),
    release: () => {
      unlock();
      if (dataDir === undefined) rmSync(root, { recursive: true, force: true });
    },
  };
}
