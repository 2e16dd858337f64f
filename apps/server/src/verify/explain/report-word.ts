import { essentialName, type Btf } from '@bpfleet/btf';
import type { ProgramReport, VerifierReport } from '../prove/verifier-report.js';
import type { ExplainedRefusal } from './explain-report.js';

export type ReportWord = 'accepted' | 'refused' | 'unknown';

/** As far as it decides what its word is worth. */
export interface AskedKernel {
  /** What it cannot do, by the names that agents report. */
  readonly lacks: readonly string[];
  /**
   * Whether its own types, without those of its modules, have one of that kind (`struct`, `union`, `enum`, `enum64`, `typedef`) and
   * name; undefined where it shows none, or nobody knows them.
   */
  readonly hasType: ((kind: string, name: string) => boolean) | undefined;
}

/** Of types that were read: an `enum` may be an `enum64` in another kernel. */
export function hasTypeIn(types: Btf): NonNullable<AskedKernel['hasType']> {
  return (kind, name) => {
    const kinds = kind.startsWith('enum') ? (['enum', 'enum64'] as const) : [kind as 'struct' | 'union' | 'typedef'];
    return kinds.some((one) => types.idsByEssentialName(one, name).length > 0);
  };
}

/**
 * What a report is worth as a word about every machine with that kernel. Nothing may be left in a refusal that another could have and
 * this one has not: what is not there may be a module's, which this one has not loaded. That is unknown. Pure.
 */
export function reportWord(
  { verdict, programs, reason }: VerifierReport,
  explained: readonly ExplainedRefusal[],
  kernel: AskedKernel,
): ReportWord {
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

/** A VM of the lab has less memory than many devices. */
function isForMemory({ class: kind }: ExplainedRefusal): boolean {
  return kind === 'memory_unavailable';
}

/** Whether its hook alone, or a type that it reads, is not there, and may be one of a module. */
function isOfModules(program: ProgramReport, kernel: AskedKernel): boolean {
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
function isTypedHookOfModules({ section, log = '' }: ProgramReport, { lacks }: AskedKernel): boolean {
  const isOwn = /^\??(?:lsm|iter)/.test(section);
  return !isOwn && hasTypesOfModules(lacks) && log.includes('failed to find kernel BTF type ID of ');
}

/** libbpf's words for an instruction that it could not relocate, at which the verifier has stopped: the last it came to. */
const UNRELOCATED = /failed to resolve CO-RE relocation <\w+> \[\d+\] (struct|union|enum|enum64|typedef) (\w+)/g;

/** Where the kernel itself has a type of that name, libbpf does not look for others in its modules: then a field is gone. */
function usesTypeOfModules(log: string, { lacks, hasType }: AskedKernel): boolean {
  const [, kind, name = ''] = [...log.matchAll(UNRELOCATED)].at(-1) ?? [];
  if (hasType === undefined || kind === undefined || !hasTypesOfModules(lacks)) return false;
  return !hasType(kind, essentialName(name));
}

/** Names of variables that are not of the kernel's configuration, which libbpf reads itself. */
const UNRESOLVED_SYMBOL = /extern '(?!CONFIG_|LINUX_)[^']+' \(strong\): not resolved/;
const UNRESOLVED_TYPED_SYMBOL = /extern \((?:func|var) ksym\) '[^']+': not found/;

/** Functions and variables of the kernel that a program names: libbpf refuses the whole object for want of one. */
function isSymbolOfModules(reason: string, { lacks }: AskedKernel): boolean {
  // Untyped ones it looks for in /proc/kallsyms, which lists those of modules on every kernel.
  return UNRESOLVED_SYMBOL.test(reason) || (hasTypesOfModules(lacks) && UNRESOLVED_TYPED_SYMBOL.test(reason));
}

/** Modules show their types since kernel commit 36e68442d1af (5.11): where they do not, no module helps. */
function hasTypesOfModules(lacks: readonly string[]): boolean {
  return !lacks.includes('module_btf');
}
