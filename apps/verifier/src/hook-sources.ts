import { existsSync, readdirSync } from 'node:fs';
import { release } from 'node:os';
import { KernelSymbols, LibbpfError } from '@bpfleet/node-libbpf';
import { readText } from './kernel.js';

/** The code of a kernel by name, as its /proc/kallsyms lists it. */
export interface CodeNames {
  /** For each function of exactly this name, which module has it; undefined is the kernel itself. */
  find(name: string): readonly (string | undefined)[];
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

export function hookSourcesOfThisKernel(): HookSources {
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
      find: (name) => {
        const modules = symbols.find(name).map(({ module }) => module);
        return modules.filter((module = '') => !NOT_MODULES.has(module));
      },
    };
  } catch (error) {
    if (error instanceof LibbpfError) return undefined;
    throw error;
  }
}
