import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const BPF_FS_MAGIC = 0xcafe4a11n;

/** Whether this folder is (in) a bpffs. */
export function isBpffs(folder: string): boolean {
  try {
    // A signed word in 32-bit user land: its upper half is sign.
    return BigInt.asUintN(32, statfsSync(folder, { bigint: true }).type) === BPF_FS_MAGIC;
  } catch {
    return false;
  }
}

/** Mounts a bpffs at this folder, if nobody has. False when this process may not. */
export function ensureBpffs(folder: string): boolean {
  if (isBpffs(folder)) return true;
  spawnSync('mount', ['-t', 'bpf', '-o', 'mode=700', 'bpf', folder], { stdio: 'ignore', timeout: 10_000 });
  return isBpffs(folder);
}

export type PinKind = 'programs' | 'maps' | 'links';

/**
 * Pins of one device, below a bpffs: bpfleet/<device>/<run>/{programs,maps,links}/<name>. bpffs reserves names with a dot, so
 * maps that have one (global data, which programs hold anyway) have no pin.
 */
export class PinFolder {
  private readonly base: string;

  constructor(bpffs: string, device: string) {
    this.base = join(bpffs, 'bpfleet', device);
  }

  create(run: string): void {
    for (const kind of ['programs', 'maps', 'links'] as const) {
      mkdirSync(join(this.base, run, kind), { recursive: true, mode: 0o700 });
    }
  }

  path(run: string, kind: PinKind, name: string): string {
    return join(this.base, run, kind, name);
  }

  runs(): string[] {
    try {
      return readdirSync(this.base);
    } catch {
      return [];
    }
  }

  /** Unlinking a link's last pin detaches it, when nobody has it open. */
  remove(run: string): void {
    rmSync(join(this.base, run), { recursive: true, force: true });
    try {
      rmdirSync(this.base);
    } catch {
      // Other runs have theirs there, or there was nothing to begin with.
    }
  }
}

export function isPinnable(name: string): boolean {
  return name !== '' && !/[./]/.test(name);
}
