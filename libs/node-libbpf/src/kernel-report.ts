import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { requireText } from './arguments.js';
import type { CapabilityName, PrivilegeFacts } from './capabilities.js';
import { missingCapabilities, readPrivilegeFacts } from './capabilities.js';
import { argumentError } from './errors.js';
import { kernelBuildId, listKernelBtf } from './kernel-btf.js';
import { readKernelConfig } from './kernel-config.js';
import type { Answer, FeatureName, Found } from './kernel-features.js';
import { activeLsms, featureProbes } from './kernel-features.js';
import { native } from './native.js';
import { typeFinder } from './type-finder.js';
import { kernelMachine } from './kernel-machine.js';

const typesMax = 1024;

/** The options of a kernel's configuration that decide what BPF can do there. */
const configNames = [
  ...['BPF', 'BPF_SYSCALL', 'BPF_JIT', 'BPF_JIT_ALWAYS_ON', 'BPF_UNPRIV_DEFAULT_OFF', 'BPF_EVENTS', 'BPF_LSM'],
  ...['BPF_STREAM_PARSER', 'BPF_KPROBE_OVERRIDE', 'BPF_LIRC_MODE2', 'CGROUP_BPF', 'DEBUG_INFO_BTF'],
  ...['DEBUG_INFO_BTF_MODULES', 'KPROBES', 'KPROBE_EVENTS', 'UPROBES', 'UPROBE_EVENTS', 'FPROBE', 'FUNCTION_TRACER'],
  ...['DYNAMIC_FTRACE', 'DYNAMIC_FTRACE_WITH_DIRECT_CALLS', 'FTRACE_SYSCALLS', 'FUNCTION_ERROR_INJECTION', 'TRACING'],
  ...['PERF_EVENTS', 'KALLSYMS', 'KALLSYMS_ALL', 'SECURITY', 'SECURITYFS', 'SECURITY_LOCKDOWN_LSM', 'LSM', 'HZ'],
  ...[
    'NET',
    'XDP_SOCKETS',
    'LWTUNNEL_BPF',
    'NET_CLS_BPF',
    'NET_ACT_BPF',
    'NET_SCH_INGRESS',
    'NETKIT',
    'NETFILTER_BPF_LINK',
  ],
] as const;

export interface KernelReport {
  /** Rises when a field changes its meaning. */
  format: 1;
  release: string;
  /** The kernel's: `x86_64`, `aarch64`, `armv7l`. */
  machine: string;
  buildId: string | null;
  possibleCpus: number;
  /** What this process had when it asked: it explains every `unknown`. */
  capabilities: CapabilityName[];
  settings: {
    /** 0 unprivileged users may use BPF, 1 never until the next boot, 2 not until an administrator says so. */
    unprivilegedBpfDisabled: number | null;
    perfEventParanoid: number | null;
    kptrRestrict: number | null;
    /** The sysctl's own switch; a handle of enableStats() does not show here. */
    statsEnabled: number | null;
    /** 0 off, 1 on, 2 on with debugging. Null where it cannot be read, and where the kernel has no JIT. */
    jitEnabled: number | null;
    /** 0 off, 1 for unprivileged programs, 2 for all. */
    jitHardening: number | null;
    jitLimitBytes: number | null;
  };
  /** Active security modules; null where the kernel does not tell. */
  lsms: string[] | null;
  /** Modules whose types the kernel has now, beside its own. */
  btfModules: string[];
  config: {
    /** Where it was read; null where the kernel does not tell. */
    path: string | null;
    /** What is set, of the options that matter for BPF; all others of these are off, unless `path` is null. */
    options: Record<string, string>;
  };
  /** By libbpf's name. */
  programTypes: Record<string, Answer>;
  mapTypes: Record<string, Answer>;
  features: Record<FeatureName, Answer>;
  /** Of the program types that were asked for: helpers by name without `bpf_`; null where that cannot be told. */
  helpers: Record<string, string[] | null>;
  /** Why an answer is not yes, where there is something to say: `features.fentry` → `needs CAP_PERFMON`. */
  why: Record<string, string>;
}

export interface ProbeKernelOptions {
  /** Program types whose helpers are listed; about 200 loads each. None unless told. */
  helpersOf?: readonly string[];
}

function readNumber(path: string): number | null {
  try {
    const value = Number.parseInt(readFileSync(path, 'utf8'), 10);
    return Number.isNaN(value) ? null : value;
  } catch {
    return null;
  }
}

class Answers {
  readonly why: Record<string, string> = {};

  add<Name extends string>(group: string, found: readonly (readonly [Name, Found])[]): Record<Name, Answer> {
    for (const [name, { why }] of found) if (why !== undefined) this.why[`${group}.${name}`] = why;
    return Object.fromEntries(found.map(([name, { answer }]) => [name, answer])) as Record<Name, Answer>;
  }
}

/** libbpf says 0 for a type that is missing and for one that may not be tried: the capabilities tell them apart. */
function probeTypes(of: 'program' | 'map', privileges: PrivilegeFacts): [string, Found][] {
  const found: [string, Found][] = [];
  for (let number = 1; number < typesMax; number++) {
    const name = native.typeName(of, number);
    if (name === `type_${number}`) break;
    const result = native.probeType(of, number);
    const missing =
      result === 1
        ? []
        : missingCapabilities(
            of === 'program' ? { does: 'load', programType: name } : { does: 'create_map', mapType: name },
            privileges,
          );
    if (result === 1) found.push([name, { answer: 'yes' }]);
    else if (missing.length > 0) found.push([name, { answer: 'unknown', why: `needs ${missing.join(', ')}` }]);
    else found.push([name, result === 0 ? { answer: 'no' } : { answer: 'unknown', why: 'libbpf cannot tell' }]);
  }
  return found;
}

function helpersOf(programType: string, privileges: PrivilegeFacts): string[] | null {
  if (missingCapabilities({ does: 'load', programType }, privileges).length > 0) return null;
  const names = native.helperNames();
  const found: string[] = [];
  for (const [number, name] of names.entries()) {
    if (number === 0) continue;
    const result = native.probeHelper(programType, number);
    // Of types that need a target (tracing, LSM, struct_ops, ext) libbpf cannot tell: their verifier asks the target first.
    if (result < 0) return null;
    if (result === 1) found.push(name);
  }
  return found;
}

/**
 * What this kernel can do for this process, as one document that goes through JSON unchanged. Everything is found by trying,
 * with nothing left behind; it takes some 50 ms (more with `helpersOf`) and is the same until the next boot, as long as
 * modules, sysctls and capabilities stay: keep it. Works without any capability, and then says `unknown`.
 */
export function probeKernel(options: ProbeKernelOptions = {}): KernelReport {
  const operation = 'probe kernel';
  const wanted = options.helpersOf ?? [];
  const privileges = readPrivilegeFacts();
  const config = readKernelConfig();
  const lsms = activeLsms();
  const answers = new Answers();
  const programTypes = answers.add('programTypes', probeTypes('program', privileges));
  for (const type of wanted) {
    requireText(operation, 'helpersOf', type);
    if (!Object.hasOwn(programTypes, type)) throw argumentError(operation, `there is no program type ${type}`);
  }
  const context = { privileges, config, lsms, hasType: typeFinder() };
  const probes = Object.entries(featureProbes) as [FeatureName, (probe: typeof context) => Found][];
  return {
    format: 1,
    release: release(),
    machine: kernelMachine(),
    buildId: kernelBuildId() ?? null,
    possibleCpus: native.possibleCpus(),
    capabilities: [...privileges.effective],
    settings: {
      unprivilegedBpfDisabled: privileges.unprivilegedBpfDisabled ?? null,
      perfEventParanoid: privileges.perfEventParanoid ?? null,
      kptrRestrict: readNumber('/proc/sys/kernel/kptr_restrict'),
      statsEnabled: readNumber('/proc/sys/kernel/bpf_stats_enabled'),
      jitEnabled: readNumber('/proc/sys/net/core/bpf_jit_enable'),
      jitHardening: readNumber('/proc/sys/net/core/bpf_jit_harden'),
      jitLimitBytes: readNumber('/proc/sys/net/core/bpf_jit_limit'),
    },
    lsms: lsms ?? null,
    btfModules: listKernelBtf().flatMap(({ name }) => (name === 'vmlinux' ? [] : [name])),
    config: {
      path: config.path ?? null,
      options: Object.fromEntries(
        configNames.flatMap((name) => (config.options.has(name) ? [[name, config.options.get(name) ?? '']] : [])),
      ),
    },
    programTypes,
    mapTypes: answers.add('mapTypes', probeTypes('map', privileges)),
    features: answers.add(
      'features',
      probes.map(([name, probe]) => [name, probe(context)] as const),
    ),
    helpers: Object.fromEntries(wanted.map((type) => [type, helpersOf(type, privileges)])),
    why: answers.why,
  };
}
