import { existsSync, readdirSync } from 'node:fs';
import { release } from 'node:os';
import { KernelSymbols, LibbpfError } from '@bpfleet/node-libbpf';
import { readText } from './kernel.js';

/** The code of a kernel by name, as its /proc/kallsyms lists it. */
export interface CodeNames {
  /** How many functions bear exactly this name, in the kernel and in the modules that are loaded. */
  count(name: string): number;
}

/** What of a kernel tells its hooks without attaching to them; each is undefined where this process cannot read it. */
export interface HookSources {
  readonly release: string;
  /** The folder `events` of tracefs. */
  readonly events: string | undefined;
  /** /sys/bus/event_source/devices, which names what perf events there are. */
  readonly eventSources: string | undefined;
  /** Link-time optimisation of Clang lists functions under other names than the kernel finds them by. */
  readonly isBuiltByClang: boolean;
  readonly code: () => CodeNames | undefined;
}

/**
 * A sentence about why a section's hook is not on this kernel, or undefined: it is, or only attaching would tell. What is missing
 * may come with a module that is loaded later.
 */
export function missingHook(section: string, sources: HookSources = ofThisKernel()): string | undefined {
  const [head = '', ...rest] = section.replace(/^\?/, '').split('/');
  const target = rest.join('/');
  if (target === '') return undefined;
  switch (head) {
    case 'tracepoint':
    case 'tp':
      return missingTracepoint(target, sources);
    case 'raw_tracepoint':
    case 'raw_tp':
    case 'raw_tracepoint.w':
    case 'raw_tp.w':
      return missingRawTracepoint(target, sources);
    case 'kprobe':
    case 'kretprobe':
      return missingKprobes(sources) ?? missingFunction(functionOf(target), sources);
    case 'ksyscall':
    case 'kretsyscall':
      return missingKprobes(sources) ?? missingSystemCall(target, sources);
    case 'kprobe.multi':
    case 'kretprobe.multi':
      // Which functions a pattern stands for, only the tracer's own list says.
      return missingKprobes(sources);
    default:
      return undefined;
  }
}

function missingTracepoint(target: string, { events }: HookSources): string | undefined {
  const [, category, name] = /^([^/]+)\/([^/]+)$/.exec(target) ?? [];
  if (category === undefined || events === undefined || existsSync(`${events}/${category}/${name}`)) return undefined;
  return `this kernel has no tracepoint ${category}:${name}`;
}

/**
 * The kernel finds them in a table of its own and of each module (bpf_get_raw_tracepoint), of variables, which kallsyms leaves out
 * without CONFIG_KALLSYMS_ALL. Each tracepoint also has a function that goes through its callbacks (kernel commit d25e37d89dd2,
 * 5.10), which is always listed. Tracefs knows neither tracepoints without an event nor tells those from system calls.
 */
function missingRawTracepoint(name: string, { code }: HookSources): string | undefined {
  const names = code();
  // A kernel that lists not even this one lists none.
  if (names === undefined || names.count(ITERATOR + EVERYWHERE) === 0) return undefined;
  return names.count(ITERATOR + name) > 0 ? undefined : `this kernel has no raw tracepoint ${name}`;
}

const ITERATOR = '__traceiter_';
const EVERYWHERE = 'sched_switch';

function missingKprobes({ eventSources }: HookSources): string | undefined {
  if (eventSources === undefined || existsSync(`${eventSources}/kprobe`)) return undefined;
  return 'this kernel has no kprobes (CONFIG_KPROBES)';
}

/** `do_unlinkat+0x10`, as libbpf reads it: the name without the offset. */
function functionOf(target: string): string | undefined {
  return /^([A-Za-z0-9_.]+)(?:\+(?:0x[0-9a-fA-F]+|\d+))?$/.exec(target)?.[1];
}

/** What compilers append to the name of what they made of a function: to a kprobe it is another function. */
const VARIANTS = ['isra', 'constprop', 'part'].flatMap((kind) => [0, 1, 2].map((at) => `.${kind}.${at}`));

/**
 * The kernel looks for the exact name (kallsyms_lookup_name). Where several functions bear it, it used to take the first, and takes
 * none since kernel commit b022f0c7e404 (6.7, and in updates of older series): EADDRNOTAVAIL.
 */
function missingFunction(name: string | undefined, { code, isBuiltByClang, release }: HookSources): string | undefined {
  const names = name === undefined ? undefined : code();
  if (names === undefined || name === undefined) return undefined;
  const found = names.count(name);
  if (found === 1) return undefined;
  if (found > 1) {
    const refuses = isFrom67(release) ? 'it takes no kprobe on any of them' : 'it may take no kprobe on any of them';
    return `this kernel has ${found} functions named ${name}, and so ${refuses}`;
  }
  if (isBuiltByClang) return undefined;
  const variant = VARIANTS.map((suffix) => name + suffix).find((one) => names.count(one) > 0);
  if (variant !== undefined) return `this kernel has no function ${name}: its compiler made ${variant} of it`;
  return `this kernel has no function ${name}: it may be called otherwise, be part of its callers, or be in a module`;
}

function isFrom67(release: string): boolean {
  const [, major = 0, minor = 0] = (/^(\d+)\.(\d+)/.exec(release) ?? []).map(Number);
  return major > 6 || (major === 6 && minor >= 7);
}

/** As libbpf names the function of a system call (bpf_program__attach_ksyscall), with wrappers of their arguments or without. */
function missingSystemCall(name: string, { code }: HookSources): string | undefined {
  const names = code();
  const called = ['__x64_sys_', '__arm64_sys_', '__se_sys_'].map((prefix) => prefix + name);
  if (names === undefined || called.some((one) => names.count(one) > 0)) return undefined;
  return `this kernel has no system call ${name}`;
}

function ofThisKernel(): HookSources {
  return {
    release: release(),
    events: tracefsEvents(),
    eventSources: existsSync(EVENT_SOURCES) ? EVENT_SOURCES : undefined,
    isBuiltByClang: /\bclang\b/i.test(readText('/proc/version') ?? ''),
    code: codeOfThisKernel,
  };
}

const EVENT_SOURCES = '/sys/bus/event_source/devices';

function tracefsEvents(): string | undefined {
  for (const root of ['/sys/kernel/tracing/events', '/sys/kernel/debug/tracing/events']) {
    try {
      if (readdirSync(root).length > 0) return root;
    } catch {
      // Not mounted there, or not for us.
    }
  }
  return undefined;
}

let code: CodeNames | undefined;

/** Read once: it takes a second on a small device, and a kernel that is asked about objects loads no modules meanwhile. */
function codeOfThisKernel(): CodeNames | undefined {
  code ??= readCode();
  return code;
}

/** JITed programs and the tracer's own pages, which kprobes do not find. */
const NOT_MODULES: ReadonlySet<string> = new Set(['bpf', '__builtin__ftrace', '__builtin__kprobes']);

function readCode(): CodeNames | undefined {
  try {
    const symbols = KernelSymbols.read();
    if (symbols.count === 0 || symbols.left > 0) return undefined;
    return {
      count: (name) => symbols.find(name).filter(({ module = '' }) => !NOT_MODULES.has(module)).length,
    };
  } catch (error) {
    if (error instanceof LibbpfError) return undefined;
    throw error;
  }
}
