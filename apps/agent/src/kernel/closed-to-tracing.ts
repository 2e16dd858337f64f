import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TraceableFunctions } from '@bpfleet/node-libbpf';

const TRACEFS = ['sys/kernel/tracing', 'sys/kernel/debug/tracing'] as const;
const KPROBE = /^k(?:ret)?probe\/([\w.$]+)$/;
const TYPED = /^(?:fentry|fexit|fmod_ret)(?:\.s)?\/([\w.$]+)$/;
/** What a trampoline's way into a function that has no place for it is answered by: arm64's ENOTSUPP, 524, and x86's EBUSY. */
const NO_PLACE: ReadonlySet<string> = new Set(['ENOTSUPP', 'EBUSY']);

interface Failed {
  readonly section: string;
  readonly errnoName: string;
}

/**
 * A sentence about a function that is there and cannot be attached to, on this kernel never; undefined where something else was
 * wrong, or the kernel does not show which functions it keeps to itself. EINVAL of a kprobe is that of a function that is notrace
 * (trace_kprobe.c, within_notrace_func, without CONFIG_KPROBE_EVENTS_ON_NOTRACE), on kprobes' own list, or that was code of the boot.
 * Asked after a refusal alone: the lists are some 50,000 lines, which a small device takes a second to read.
 *
 * @param root of the file system, for tests
 */
export function closedToTracing({ section, errnoName }: Failed, root = '/'): string | undefined {
  const probed = errnoName === 'EINVAL' ? KPROBE.exec(section)?.[1] : undefined;
  const name = probed ?? (NO_PLACE.has(errnoName) ? TYPED.exec(section)?.[1] : undefined);
  if (name === undefined) return undefined;
  if (probed !== undefined && isForbidden(name, root)) return `this kernel allows no kprobe in ${name}`;
  if (isListed(name, root) !== false) return undefined;
  return `this kernel has the function ${name}, which is closed to tracing (notrace, or gone after boot)`;
}

function isForbidden(name: string, root: string): boolean {
  return read(join(root, 'sys/kernel/debug/kprobes/blacklist'))?.includes(`\t${name}\n`) ?? false;
}

/** Undefined where the list cannot be read, or is empty, as under lockdown. */
function isListed(name: string, root: string): boolean | undefined {
  for (const folder of TRACEFS) {
    const list = read(join(root, folder, 'available_filter_functions'));
    if (list !== undefined && list.length > 0) return new TraceableFunctions(list).has(name);
  }
  return undefined;
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
