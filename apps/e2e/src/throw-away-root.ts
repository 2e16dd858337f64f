import { execFile, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { spawnGuarded } from '@bpfleet/embedded';

/** What an installer writes to is empty; what a kernel shows is this machine's. `$1` is where it all lies. */
const MAKE = `
set -eu
mount -t tmpfs throw-away "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" throw-away "$1/root"
for folder in proc sys dev; do mount --rbind "/$folder" "$1/root/$folder"; done
for folder in tmp run; do mount -t tmpfs throw-away "$1/root/$folder"; done
rm -rf "$1/root/opt/bpfleet-agent" "$1/root/etc/bpfleet-agent" "$1/root/var/lib/bpfleet-agent"
echo made
exec sleep infinity
`;

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * This machine as if it were another: same kernel, same programs, and a file system on which everything can be installed and
 * of which nothing remains. It lives as long as one process that holds its mount namespace.
 */
export class ThrowAwayRoot {
  private constructor(
    private readonly keeper: ChildProcess,
    private readonly folder: string,
  ) {}

  /** Needs root and overlayfs. */
  static async make(): Promise<ThrowAwayRoot> {
    const folder = mkdtempSync(join(tmpdir(), 'bpfleet-root-'));
    const keeper = spawnGuarded('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', MAKE, 'sh', folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: keeper.stdout as NodeJS.ReadableStream }).once('line', () => resolve());
      keeper.once('exit', (code) => reject(new Error(`the throw-away root could not be made (${code})`)));
    });
    return new ThrowAwayRoot(keeper, folder);
  }

  /** Program and arguments that run something inside. */
  command(...words: string[]): [string, ...string[]] {
    return ['nsenter', '--target', String(this.keeper.pid), '--mount', 'chroot', join(this.folder, 'root'), ...words];
  }

  sh(script: string): Promise<Outcome> {
    const [program, ...args] = this.command('sh', '-c', script);
    return new Promise((resolve) => {
      execFile(program, args, { encoding: 'utf8' }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr });
      });
    });
  }

  /** Its mounts go with the last process that sees them. */
  async stop(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.keeper.once('exit', () => resolve()));
    this.keeper.kill('SIGKILL');
    await gone;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
