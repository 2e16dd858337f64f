import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PAGE_BYTES = 4096;

/** A file system of its own in memory, small enough to be filled. Needs root; `unmount` always. */
export class SmallDisk {
  readonly folder = mkdtempSync(join(tmpdir(), 'bpfleet-disk-'));

  constructor(size: string) {
    command('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'bpfleet-test', this.folder]);
  }

  /** To the last page. */
  fill(): void {
    const fd = openSync(this.filler, 'a');
    try {
      for (;;) writeSync(fd, Buffer.alloc(PAGE_BYTES));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(fd);
    }
  }

  empty(): void {
    rmSync(this.filler, { force: true });
  }

  remount(how: 'ro' | 'rw'): void {
    command('mount', ['-o', `remount,${how}`, this.folder]);
  }

  unmount(): void {
    command('umount', ['--lazy', this.folder]);
    rmdirSync(this.folder);
  }

  private get filler(): string {
    return join(this.folder, 'filler');
  }
}

function command(name: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(name, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${stderr}`);
}
