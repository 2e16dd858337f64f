import { accessLineAt, readObject } from '@bpfleet/btf';
import type { BpfObjectFile } from '@bpfleet/btf';
import { REFUSAL_RULES } from './refusal-rules.js';
import type { RefusalClass } from './refusal-rules.js';

/** One program that a kernel refused. */
export interface RefusedProgram {
  program: string;
  /** The verifier's log and what libbpf said around it; empty when the kernel wrote nothing. */
  log: string;
  /** Such as "EPERM". */
  errnoName?: string | undefined;
}

export interface RefusalExplanation {
  class: RefusalClass;
  /** What is wrong, in one sentence. */
  sentence: string;
  /** What to change. */
  advice: string;
  source?: { file: string; line: number; text: string };
  log: string;
}

const LOG_CHARS_MAX = 256 * 1024;
const TAIL_LINES = 60;
// libbpf puts its own words in the place of an instruction that it could not relocate.
const INSTRUCTION = /^(\d+): (?:\([0-9a-f]{2}\)|<)/;
// BPF_STX | BPF_ATOMIC | BPF_DW
const WIDE_ATOMIC = /^(\d+): \(db\) /m;
// Since 6.9 the verifier adds the place to the source line that it repeats.
const COMMENT = /^; (.*?)(?: @ (\S+):(\d+))?$/;
const NOISE =
  /^(?:processed \d+ insns|verification time|stack depth|-- (?:BEGIN|END)|libbpf: |\d+: |; |from \d+ to|arg#\d+ |R\d+=|max_states|mark_precise:|$)/;

/** Turns a kernel's refusal into something to act on. Never throws: what is not understood has class `other`. */
export function explainRefusal(refused: RefusedProgram, object: Buffer): RefusalExplanation {
  const log = refused.log.slice(-LOG_CHARS_MAX);
  const tail = log.trimEnd().split('\n').slice(-TAIL_LINES);
  // Comment lines repeat the author's source, which may say anything.
  const verdict = tail.filter((line) => !line.startsWith(';')).join('\n');
  for (const rule of REFUSAL_RULES) {
    const match = rule.pattern.exec(verdict);
    if (!match) continue;
    const isAccess = rule.class === 'kernel_type_missing';
    const source = locate(tail, refused.program, object, { named: rule.instruction?.(match), isAccess });
    return {
      class: rule.class,
      sentence: rule.sentence(match),
      advice: rule.advice,
      ...(source ? { source } : {}),
      log,
    };
  }
  const said = withoutWords(refused, tail);
  const named = said.class === 'atomic_unsupported' ? firstWideAtomic(log) : undefined;
  const source = locate(tail, refused.program, object, { named, isAccess: false });
  return { ...said, ...(source ? { source } : {}), log };
}

function withoutWords(refused: RefusedProgram, tail: string[]): Omit<RefusalExplanation, 'log' | 'source'> {
  switch (refused.errnoName) {
    case 'EPERM':
    case 'EACCES':
      if (tail.some((line) => INSTRUCTION.test(line))) break;
      return {
        class: 'not_permitted',
        sentence: 'The process that loads programs may not do so here.',
        advice:
          'It needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN in the initial user namespace, and on kernels before 5.11 a raised memlock limit.',
      };
    case 'ENOMEM':
      return {
        class: 'memory_unavailable',
        sentence: 'The kernel had no memory for the program or its maps.',
        advice: 'Lower max_entries of the maps; per-CPU maps take their size once for each possible CPU.',
      };
    case 'ENOTSUPP':
    case '524':
      return {
        class: 'atomic_unsupported',
        sentence:
          'The JIT of this kernel cannot translate an instruction of the program, such as a 64-bit atomic addition on 32-bit ARM.',
        advice: 'Count in a per-CPU map with a plain addition.',
      };
    default:
  }
  const last = tail
    .filter((line) => !NOISE.test(line.trim()))
    .at(-1)
    ?.trim();
  return {
    class: 'other',
    sentence: last
      ? `The kernel refused the program: ${last.slice(0, 300)}.`
      : `The kernel refused the program (${refused.errnoName ?? 'no reason given'}).`,
    advice: 'The log below ends at the instruction that the kernel did not accept.',
  };
}

/** An instruction that the rule names, or else the last that the verifier looked at; `isAccess`: by CO-RE. */
interface Pointed {
  readonly named: number | undefined;
  readonly isAccess: boolean;
}

function locate(
  tail: string[],
  program: string,
  bytes: Buffer,
  { named, isAccess }: Pointed,
): RefusalExplanation['source'] {
  const instruction = named ?? lastInstruction(tail);
  const object = readable(bytes);
  const line =
    instruction === undefined || object === undefined
      ? undefined
      : isAccess
        ? accessLineAt(object, program, instruction)
        : object.lines.lineAt(program, instruction);
  if (line && line.line > 0) return { file: shortName(line.file), line: line.line, text: line.text };
  return named === undefined ? lastComment(tail) : undefined;
}

/** A JIT comes after the verifier, whose log then ends well: not its last instruction is the one to look at. */
function firstWideAtomic(log: string): number | undefined {
  const match = WIDE_ATOMIC.exec(log);
  return match === null ? undefined : Number(match[1]);
}

function lastInstruction(tail: string[]): number | undefined {
  const line = tail.findLast((text) => INSTRUCTION.test(text));
  return line === undefined ? undefined : Number(INSTRUCTION.exec(line)?.[1]);
}

function lastComment(tail: string[]): RefusalExplanation['source'] {
  for (const text of tail.toReversed()) {
    const match = COMMENT.exec(text);
    if (!match?.[1]?.trim() || match[3] === '0') continue;
    return { file: shortName(match[2] ?? ''), line: Number(match[3] ?? 0), text: match[1].trim() };
  }
  return undefined;
}

/** An object that cannot be read was never loaded; its explanation just has no line. */
function readable(bytes: Buffer): BpfObjectFile | undefined {
  try {
    return readObject(bytes);
  } catch {
    return undefined;
  }
}

/** Inside the jail sources lie in one folder, whose name means nothing to the author. */
function shortName(file: string): string {
  return file.replace(/^.*\//, '');
}
