import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { hasConfig, KernelSymbols, LibbpfError, readKernelConfig, TraceableFunctions } from '@bpfleet/node-libbpf';
import { readText } from './kernel.js';

/** The code of a kernel by name, as its /proc/kallsyms lists it. */
export interface CodeNames {
  /** For each function of exactly this name, which module has it; undefined is the kernel itself. */
  find(name: string): readonly (string | undefined)[];
  /**
   * By which name the tracer lists the only function that is so named: of several names of one address the first. Undefined where
   * several are, or addresses are not shown.
   */
  listedAs(name: string): string | undefined;
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
  /** Which functions may be traced; `all` on a kernel without CONFIG_DYNAMIC_FTRACE, where nothing but kprobes' own list forbids it. */
  readonly traceable: () => TraceableFunctions | 'all' | undefined;
  /** Functions that kprobes must not be set in. */
  readonly forbidden: () => ReadonlySet<string> | undefined;
  /** CONFIG_KPROBE_EVENTS_ON_NOTRACE: kprobes may be set where nothing can be traced. */
  readonly mayProbeUntraceable: () => boolean;
}

export function hookSourcesOfThisKernel(): HookSources {
  return {
    release: release(),
    events: tracefsEvents(),
    eventSources: existsSync(EVENT_SOURCES) ? EVENT_SOURCES : undefined,
    isBuiltByClang: /\bclang\b/i.test(readText('/proc/version') ?? ''),
    code: codeOfThisKernel,
    traceable: traceableOfThisKernel,
    forbidden: forbiddenOfThisKernel,
    mayProbeUntraceable: () => hasConfig(readKernelConfig(), 'KPROBE_EVENTS_ON_NOTRACE') === 'yes',
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
      find: (name) => {
        const modules = symbols.find(name).map(({ module }) => module);
        return modules.filter((module = '') => !NOT_MODULES.has(module));
      },
      listedAs: (name) => {
        const [only, ...others] = symbols.find(name).filter(({ module = '' }) => !NOT_MODULES.has(module));
        return only === undefined || others.length > 0 ? undefined : symbols.resolve(only.address)?.name;
      },
    };
  } catch (error) {
    if (error instanceof LibbpfError) return undefined;
    throw error;
  }
}

let traceable: ReturnType<HookSources['traceable']> | 'unread' = 'unread';

/** Read once: some 50,000 lines, for each of which the kernel looks a name up, take a second under emulation. */
function traceableOfThisKernel(): ReturnType<HookSources['traceable']> {
  if (traceable === 'unread') traceable = readTraceable();
  return traceable;
}

/** Where it may not be read, or is empty (lockdown), nothing is known. */
function readTraceable(): ReturnType<HookSources['traceable']> {
  const events = tracefsEvents();
  if (events === undefined) return undefined;
  try {
    const list = readFileSync(join(dirname(events), 'available_filter_functions'));
    return list.length === 0 ? undefined : new TraceableFunctions(list);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'all' : undefined;
  }
}

let forbidden: ReadonlySet<string> | undefined;

/** Lines `0xffff800080010000-0xffff800080010040<tab>name`, with the module behind it where there is one. */
function forbiddenOfThisKernel(): ReadonlySet<string> | undefined {
  const text = forbidden === undefined ? readText('/sys/kernel/debug/kprobes/blacklist') : null;
  if (text !== null) forbidden = new Set(text.split('\n').flatMap((line) => /\t(\S+)$/.exec(line)?.[1] ?? []));
  return forbidden;
}
