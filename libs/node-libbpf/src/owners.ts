import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { NativeKind } from './native.js';

/** A process that holds a descriptor of an object. `comm` is what the process calls itself: it can be anything. */
export interface Owner {
  pid: number;
  comm: string;
}

export interface OwnerOptions {
  /** Processes that are looked at; 32,768 unless told. */
  processesMax?: number;
  /** Descriptors that are looked at, of all processes together; 1,000,000 unless told. */
  descriptorsMax?: number;
}

/** Who holds which object, as it was when it was asked. */
export class Owners {
  /** A bound was met before the end. */
  readonly truncated: boolean;
  /** Processes whose descriptors this one may not see (CAP_SYS_PTRACE); what only they hold has no owner here. */
  readonly hiddenProcesses: number;
  readonly #byObject: ReadonlyMap<string, readonly Owner[]>;

  /** @internal */
  constructor(byObject: ReadonlyMap<string, readonly Owner[]>, truncated: boolean, hiddenProcesses: number) {
    this.#byObject = byObject;
    this.truncated = truncated;
    this.hiddenProcesses = hiddenProcesses;
  }

  /** The processes with a descriptor of this object, by pid. Empty for what only pins, links or programs hold. */
  of(kind: NativeKind, id: number): readonly Owner[] {
    return this.#byObject.get(`${kind} ${id}`) ?? [];
  }
}

// The kernel's names of its descriptors, and the line of their fdinfo that has the id.
const kinds: Record<string, { kind: NativeKind; idLine: RegExp }> = {
  'anon_inode:bpf-prog': { kind: 'program', idLine: /^prog_id:\s*(\d+)$/m },
  'anon_inode:bpf-map': { kind: 'map', idLine: /^map_id:\s*(\d+)$/m },
  'anon_inode:bpf_link': { kind: 'link', idLine: /^link_id:\s*(\d+)$/m },
  'anon_inode:bpf-link': { kind: 'link', idLine: /^link_id:\s*(\d+)$/m },
  'anon_inode:btf': { kind: 'btf', idLine: /^btf_id:\s*(\d+)$/m },
};

// Whatever fails here is a process or a descriptor that went away meanwhile.
function attempt<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function pidsOf(proc: string): number[] {
  return readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

function objectBehind(folder: string, descriptor: string): string | undefined {
  const target = attempt(() => readlinkSync(join(folder, 'fd', descriptor)));
  const found = target === undefined ? undefined : kinds[target.replaceAll(/[[\]]/g, '')];
  if (found === undefined) return undefined;
  const fdinfo = attempt(() => readFileSync(join(folder, 'fdinfo', descriptor), 'latin1')) ?? '';
  const id = found.idLine.exec(fdinfo)?.[1];
  return id === undefined ? undefined : `${found.kind} ${id}`;
}

/**
 * Which process holds which program, map, link and BTF, from /proc/PID/fd. That works on every kernel, without BTF and
 * without loading anything; BPF's own iterator over descriptors (task_file, ≥ 5.8) sees the same files but for threads that
 * have unshared theirs. It costs a readlink for each descriptor of the system: some ten milliseconds on a device.
 */
export function findOwners(options: OwnerOptions = {}, proc = '/proc'): Owners {
  const { processesMax = 32_768, descriptorsMax = 1_000_000 } = options;
  const byObject = new Map<string, Owner[]>();
  const pids = pidsOf(proc);
  let [hidden, seen, truncated] = [0, 0, pids.length > processesMax];
  for (const pid of pids.slice(0, processesMax)) {
    const folder = join(proc, String(pid));
    let descriptors: string[];
    try {
      descriptors = readdirSync(join(folder, 'fd'));
    } catch (error) {
      if (['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) hidden++;
      continue;
    }
    if (seen + descriptors.length > descriptorsMax) {
      truncated = true;
      break;
    }
    seen += descriptors.length;
    const objects = new Set(descriptors.map((name) => objectBehind(folder, name)).filter((key) => key !== undefined));
    if (objects.size === 0) continue;
    const comm = attempt(() => readFileSync(join(folder, 'comm'), 'utf8').replace(/\n$/, '')) ?? '';
    for (const key of objects) {
      const owners = byObject.get(key);
      if (owners === undefined) byObject.set(key, [{ pid, comm }]);
      else owners.push({ pid, comm });
    }
  }
  return new Owners(byObject, truncated, hidden);
}
