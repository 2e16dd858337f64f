import { essentialName, type Btf } from '@bpfleet/btf';
import {
  explainReport,
  programVerdicts,
  type ExplainedRefusal,
  type ProgramReport,
  type VerifierReport,
} from '../../../verify/index.js';
import type { KernelVerdictWord, NewKernelVerdict, VerdictReason } from '../../kernels/index.js';

export type LabVerdict = Pick<NewKernelVerdict, 'verdict' | 'reasons' | 'facts'>;

const SENTENCE_CHARS_MAX = 1_000;
const CONSOLE_LINES_MAX = 40;

/** As far as it decides what its word is worth. */
export interface ProvingKernel {
  /** What it cannot do, by the names that agents report. */
  readonly lacks: readonly string[];
  /** Its own types, without those of its modules; undefined where it shows none, or the server has them not. */
  readonly types: Pick<Btf, 'idsByEssentialName'> | undefined;
}

/** What a kernel of the lab said of an object, as a verdict about all kernels of its group. Pure. */
export function verdictOfReport(report: VerifierReport, object: Buffer, kernel: ProvingKernel): LabVerdict {
  const explained = report.verdict === 'accepted' ? [] : explainReport(report, object);
  const reasons = explained.map((one): VerdictReason => {
    const { class: kind, sentence, advice, program } = one;
    const said = isForMemory(one) ? `The VM had no memory for it. ${advice}` : `${sentence} ${advice}`;
    return { kind, sentence: said, ...(program === undefined ? {} : { program }) };
  });
  const { loadMs } = report;
  const jited = new Map(report.programs.map(({ name, jitedBytes }) => [name, jitedBytes ?? null]));
  const programs = programVerdicts(report, explained).map((one) => ({
    ...one,
    jitedBytes: jited.get(one.name) ?? null,
  }));
  return { verdict: wordOf(report, explained, kernel), reasons, facts: { loadMs, ...totals(report), programs } };
}

/**
 * A refusal is a word about every kernel of the group, so nothing may be left in it that a device could have and this VM has not:
 * what is not there may be a module's, which this VM has not loaded and a device has. That is unknown.
 */
function wordOf(
  { verdict, programs, reason }: VerifierReport,
  explained: readonly ExplainedRefusal[],
  kernel: ProvingKernel,
): KernelVerdictWord {
  if (verdict === 'accepted') return 'accepted';
  const blamed = programs.filter((program) => program.verdict === 'refused' || program.verdict === 'unsupported');
  if (blamed.length > 0) {
    const isOpen = (program: ProgramReport): boolean =>
      isOfModules(program, kernel) || explained.some((one) => one.program === program.name && isForMemory(one));
    return blamed.every(isOpen) ? 'unknown' : 'refused';
  }
  // Without a program to blame `unable` is about the machine.
  return verdict === 'unable' || isSymbolOfModules(reason ?? '', kernel) || explained.some(isForMemory)
    ? 'unknown'
    : 'refused';
}

/** A VM has less memory than many devices. */
function isForMemory({ class: kind }: ExplainedRefusal): boolean {
  return kind === 'memory_unavailable';
}

/** Whether its hook alone, or a type that it reads, is not there, and may be one of a module. */
function isOfModules(program: ProgramReport, kernel: ProvingKernel): boolean {
  const { verdict, verifiedInstructions, log = '' } = program;
  if (verdict !== 'unsupported') return usesTypeOfModules(log, kernel);
  // It was loaded. No module brings kprobes.
  if (verifiedInstructions !== undefined) return !/\(CONFIG_\w+\)$/.test(log);
  return isTypedHookOfModules(program, kernel);
}

/**
 * libbpf looks for the hook among the types of the modules that are loaded, where the kernel itself has none of that name, and says
 * the same when it found none at all. Hooks of LSM programs and iterators are the kernel's own: their functions `bpf_lsm_*` and
 * `bpf_iter_*` are compiled into it.
 */
function isTypedHookOfModules({ section, log = '' }: ProgramReport, { lacks }: ProvingKernel): boolean {
  const isOwn = /^\??(?:lsm|iter)/.test(section);
  return !isOwn && hasTypesOfModules(lacks) && log.includes('failed to find kernel BTF type ID of ');
}

/** libbpf's words for an instruction that it could not relocate, at which the verifier has stopped: the last it came to. */
const UNRELOCATED = /failed to resolve CO-RE relocation <\w+> \[\d+\] (struct|union|enum|enum64|typedef) (\w+)/g;

/** Where the kernel itself has a type of that name, libbpf does not look for others in its modules: then a field is gone. */
function usesTypeOfModules(log: string, { lacks, types }: ProvingKernel): boolean {
  const [, kind, name = ''] = [...log.matchAll(UNRELOCATED)].at(-1) ?? [];
  if (types === undefined || kind === undefined || !hasTypesOfModules(lacks)) return false;
  const kinds = kind.startsWith('enum') ? (['enum', 'enum64'] as const) : [kind as 'struct' | 'union' | 'typedef'];
  return kinds.every((one) => types.idsByEssentialName(one, essentialName(name)).length === 0);
}

/** Names of variables that are not of the kernel's configuration, which libbpf reads itself. */
const UNRESOLVED_SYMBOL = /extern '(?!CONFIG_|LINUX_)[^']+' \(strong\): not resolved/;
const UNRESOLVED_TYPED_SYMBOL = /extern \((?:func|var) ksym\) '[^']+': not found/;

/** Functions and variables of the kernel that a program names: libbpf refuses the whole object for want of one. */
function isSymbolOfModules(reason: string, { lacks }: ProvingKernel): boolean {
  // Untyped ones it looks for in /proc/kallsyms, which lists those of modules on every kernel.
  return UNRESOLVED_SYMBOL.test(reason) || (hasTypesOfModules(lacks) && UNRESOLVED_TYPED_SYMBOL.test(reason));
}

/** Modules show their types since kernel commit 36e68442d1af (5.11): where they do not, no module helps. */
function hasTypesOfModules(lacks: readonly string[]): boolean {
  return !lacks.includes('module_btf');
}

function totals({ programs, maps }: VerifierReport): Record<string, number | null> {
  const loaded = programs.filter(({ verifiedInstructions }) => verifiedInstructions !== undefined);
  if (loaded.length === 0) return { instructions: null, stackDepthBytes: null, jitedBytes: null, mapBytes: null };
  const sum = (numbers: readonly (number | undefined)[]) => numbers.reduce<number>((all, one) => all + (one ?? 0), 0);
  return {
    instructions: sum(loaded.map(({ verifiedInstructions }) => verifiedInstructions)),
    stackDepthBytes: Math.max(0, ...loaded.map(({ stackDepthBytes }) => stackDepthBytes ?? 0)),
    jitedBytes: sum(loaded.map(({ jitedBytes }) => jitedBytes)),
    mapBytes: sum(maps.map(({ bytes }) => bytes)),
  };
}

/** The kernel went down, with nothing else loaded since it had come up. */
export function crashVerdict(panic: string, console: readonly string[]): LabVerdict {
  const sentence = `This kernel crashed while loading it: ${panic}`.slice(0, SENTENCE_CHARS_MAX);
  return refusal('kernel_crash', sentence, { console: console.slice(-CONSOLE_LINES_MAX).join('\n') });
}

export function timeoutVerdict(timeoutMs: number): LabVerdict {
  const sentence = `The kernel's verifier came to no verdict within ${Math.round(timeoutMs / 1000)} s under emulation.`;
  return { verdict: 'unknown', reasons: [{ kind: 'timeout', sentence }], facts: {} };
}

/** Devices of this kernel are not offered it, or could not load it: the kernel was not asked. */
export function refusal(kind: string, sentence: string, facts: LabVerdict['facts'] = {}): LabVerdict {
  return { verdict: 'refused', reasons: [{ kind, sentence: sentence.slice(0, SENTENCE_CHARS_MAX) }], facts };
}
