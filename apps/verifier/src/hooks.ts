import { existsSync } from 'node:fs';
import { hookSourcesOfThisKernel, type HookSources } from './hook-sources.js';

/**
 * A sentence about why a section's hook is not on this kernel, or undefined: it is, or only attaching would tell. What is missing
 * may come with a module that is loaded later, and what a module has may be missing where that is not loaded: on other machines
 * than this one, which may have loaded it for its own devices alone.
 */
export function missingHook(section: string, sources: HookSources = hookSourcesOfThisKernel()): string | undefined {
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
    case 'fentry':
    case 'fentry.s':
    case 'fexit':
    case 'fexit.s':
    case 'fmod_ret':
    case 'fmod_ret.s':
      return missingEntry(target, sources);
    case 'tp_btf':
      return onlyInModules(`tracepoint ${target}`, ITERATOR + target, sources);
    case 'kprobe.multi':
    case 'kretprobe.multi':
    case 'kprobe.session':
      return missingPattern(target, sources);
    default:
      return undefined;
  }
}

function missingTracepoint(target: string, sources: HookSources): string | undefined {
  const { events } = sources;
  const [, category, name = ''] = /^([^/]+)\/([^/]+)$/.exec(target) ?? [];
  if (category === undefined || events === undefined) return undefined;
  const what = `tracepoint ${category}:${name}`;
  // Events that are made of none, such as those of system calls, have no such function.
  return existsSync(`${events}/${category}/${name}`)
    ? onlyInModules(what, ITERATOR + name, sources)
    : `this kernel has no ${what}`;
}

/** `symbol` names a function that is there exactly where `what` is. */
function onlyInModules(what: string, symbol: string, { code }: HookSources): string | undefined {
  const modules = code()?.find(symbol) ?? [];
  if (modules.length === 0 || modules.includes(undefined)) return undefined;
  return `this kernel has the ${what} only in its ${named(modules)}, which a device may not have loaded`;
}

function named(modules: readonly (string | undefined)[]): string {
  const names = [...new Set(modules)];
  return `module${names.length === 1 ? '' : 's'} ${names.join(', ')}`;
}

/** Its function was found among the kernel's types when it was loaded. */
function missingEntry(target: string, sources: HookSources): string | undefined {
  // libbpf lets the name of a module stand before that of its function: `nf_conntrack:nf_conntrack_in`.
  const name = target.slice(target.indexOf(':') + 1);
  return onlyInModules(`function ${name}`, name, sources) ?? untraceable(name, sources);
}

/** These are set by ftrace (CONFIG_FPROBE), where there are kprobes or not; libbpf reads patterns by the same list. */
function missingPattern(pattern: string, { traceable }: HookSources): string | undefined {
  const list = traceable();
  if (list === undefined || list === 'all') return undefined;
  const modules = list.modulesOf(pattern);
  if (modules.length === 0) return `this kernel has no traceable function for the pattern ${pattern}`;
  if (modules.includes(undefined)) return undefined;
  return `this kernel has functions for the pattern ${pattern} only in its ${named(modules)}, which a device may not have loaded`;
}

/**
 * BPF's trampolines are set where ftrace can set its hooks (register_fentry). So are kprobes of BPF programs: that the whole function
 * has no such place is EINVAL (within_notrace_func of kernel/trace/trace_kprobe.c, kernel commit 45408c4f9250, 4.19). /proc/kallsyms
 * lists functions that are freed after the boot all the same.
 */
function untraceable(name: string, { code, traceable }: HookSources): string | undefined {
  const [list, listedAs] = [traceable(), code()?.listedAs(name)];
  if (list === undefined || list === 'all' || listedAs === undefined || list.has(name) || list.has(listedAs)) {
    return undefined;
  }
  return closed(name);
}

function closed(name: string): string {
  return `this kernel has the function ${name}, which is closed to tracing (notrace, or gone after boot)`;
}

function closedToKprobes(name: string, sources: HookSources): string | undefined {
  if (sources.forbidden()?.has(name)) return closed(name);
  return sources.mayProbeUntraceable() ? undefined : untraceable(name, sources);
}

/**
 * The kernel finds them in a table of its own and of each module (bpf_get_raw_tracepoint), of variables, which kallsyms leaves out
 * without CONFIG_KALLSYMS_ALL. Each tracepoint also has a function that goes through its callbacks (kernel commit d25e37d89dd2,
 * 5.10), which is always listed. Tracefs knows neither tracepoints without an event nor tells those from system calls.
 */
function missingRawTracepoint(name: string, sources: HookSources): string | undefined {
  const names = sources.code();
  // A kernel that lists not even this one lists none.
  if (names === undefined || names.find(ITERATOR + EVERYWHERE).length === 0) return undefined;
  const what = `raw tracepoint ${name}`;
  return names.find(ITERATOR + name).length > 0
    ? onlyInModules(what, ITERATOR + name, sources)
    : `this kernel has no ${what}`;
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
function missingFunction(name: string | undefined, sources: HookSources): string | undefined {
  const { code, isBuiltByClang, release } = sources;
  const names = name === undefined ? undefined : code();
  if (names === undefined || name === undefined) return undefined;
  const found = names.find(name).length;
  if (found === 1) return onlyInModules(`function ${name}`, name, sources) ?? closedToKprobes(name, sources);
  if (found > 1) {
    const refuses = isFrom67(release) ? 'it takes no kprobe on any of them' : 'it may take no kprobe on any of them';
    return `this kernel has ${found} functions named ${name}, and so ${refuses}`;
  }
  if (isBuiltByClang) return undefined;
  const variant = VARIANTS.map((suffix) => name + suffix).find((one) => names.find(one).length > 0);
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
  if (names === undefined || called.some((one) => names.find(one).length > 0)) return undefined;
  return `this kernel has no system call ${name}`;
}
