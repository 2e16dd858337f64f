import { existsSync } from 'node:fs';

/** Whether a kernel that says ENOENT can only mean the hook: where these are not there, it may mean the whole way to it. */
export interface HookPlaces {
  /** Tracefs is mounted, where libbpf looks tracepoints up by their files. */
  readonly tracefs: boolean;
  /** Kernels before 4.17, and those without the option, have no such perf events; libbpf then writes to tracefs instead. */
  readonly probeEvents: boolean;
}

interface Failed {
  readonly section: string;
  readonly errnoName: string;
}

/**
 * A sentence about a hook that is not on this machine, by what the kernel answered; undefined where it answered something else.
 * A module, or a package, may bring it later.
 *
 * - tracepoints: ENOENT is libbpf's, of the file `id` in tracefs;
 * - raw tracepoints: ENOENT of bpf_raw_tp_link_attach (kernel/bpf/syscall.c), 4.17 to 6.12 and later;
 * - kprobes: ENOENT of perf_event_open, since kallsyms does not have the name (register_kprobe; create_local_trace_kprobe from
 *   6.7 on), and from there on EADDRNOTAVAIL where several functions have it (kernel commit b022f0c7e404);
 * - many at once: ENOENT where libbpf finds none for a pattern, ESRCH where the kernel does not know a name (ftrace_lookup_symbols);
 * - user code: ENOENT of libbpf, for a file, a function in it or a USDT.
 */
export function missingHook({ section, errnoName }: Failed, places: HookPlaces = ofThisMachine()): string | undefined {
  const [head = '', ...rest] = section.replace(/^\?/, '').split('/');
  const target = rest.join('/');
  if (target === '') return undefined;
  const { tracefs, probeEvents } = places;
  const gone = errnoName === 'ENOENT';
  switch (head) {
    case 'tracepoint':
    case 'tp':
      return gone && tracefs ? `this kernel has no tracepoint ${target.replace('/', ':')}` : undefined;
    case 'raw_tracepoint':
    case 'raw_tp':
    case 'raw_tracepoint.w':
    case 'raw_tp.w':
      return gone ? `this kernel has no raw tracepoint ${target}` : undefined;
    case 'kprobe':
    case 'kretprobe':
    case 'ksyscall':
    case 'kretsyscall':
      return probeEvents ? missingFunction(target, errnoName) : undefined;
    case 'kprobe.multi':
    case 'kretprobe.multi':
      return (gone && tracefs) || errnoName === 'ESRCH' ? `this kernel has no function ${target}` : undefined;
    default:
      if (!/^(?:u(?:ret)?probe|usdt)(?:\.|$)/.test(head) || !gone || !probeEvents) return undefined;
      return `this device has no such file, or nothing of that name in it: ${target}`;
  }
}

function missingFunction(name: string, errnoName: string): string | undefined {
  if (errnoName === 'EADDRNOTAVAIL') {
    return `this kernel has several functions named ${name}, and takes no kprobe on any of them`;
  }
  if (errnoName !== 'ENOENT') return undefined;
  return `this kernel has no function ${name}: it may be called otherwise, be part of its callers, or be in a module that is not loaded`;
}

/** fentry, tp_btf and LSM programs find their hook in the kernel's types, before the kernel is asked: ESRCH of libbpf. */
export function missingTypedHook(libbpfSaid: string): string | undefined {
  const name = /failed to find kernel BTF type ID of '([^']{1,256})': -(?:3|ESRCH|2|ENOENT)\b/.exec(libbpfSaid)?.[1];
  return name === undefined ? undefined : `this kernel has nothing named ${name} to attach to`;
}

function ofThisMachine(): HookPlaces {
  return {
    tracefs: ['/sys/kernel/tracing/events', '/sys/kernel/debug/tracing/events'].some((folder) => existsSync(folder)),
    probeEvents: existsSync('/sys/bus/event_source/devices/kprobe'),
  };
}
