import { requireText } from './arguments.js';
import type { PrivilegedAction } from './capabilities.js';
import { argumentError } from './errors.js';
import type { NativeProgramFacts } from './native.js';
import type { OpenedSpec } from './opened-spec.js';
import { Program } from './program.js';

/** What a tracing or `freplace` program is put on, when the ELF section does not say: set before load(). */
export interface AttachTarget {
  /** A function of the kernel, of a module, or of `program`. */
  function: string;
  /** The loaded BPF program that has the function; without it, the kernel. */
  program?: Program;
}

/** A program of an object that is not loaded yet. */
export class ProgramSpec {
  readonly name: string;
  /** The ELF section, which says by its name where libbpf attaches: `tracepoint/sched/sched_process_exec`. */
  readonly section: string;
  readonly type: string;
  /** Of the program alone, before libbpf appends what it calls. */
  readonly instructionCount: number;
  readonly #spec: OpenedSpec;
  readonly #index: number;
  #autoload: boolean;
  #attachTarget: string | undefined;

  /** @internal */
  constructor(spec: OpenedSpec, index: number, facts: NativeProgramFacts) {
    this.name = facts.name;
    this.section = facts.section;
    this.type = facts.type;
    this.instructionCount = facts.instructionCount;
    this.#spec = spec;
    this.#index = index;
    this.#autoload = facts.autoload;
    const slash = facts.section.indexOf('/');
    this.#attachTarget = slash < 0 ? undefined : facts.section.slice(slash + 1);
  }

  /** Whether load() loads it. */
  get autoload(): boolean {
    return this.#autoload;
  }

  set autoload(value: boolean) {
    const wanted = value === true;
    this.#change('autoload', (object) => object.setAutoload(this.#index, wanted));
    this.#autoload = wanted;
  }

  /** What SEC() names behind its first slash (`sched/sched_process_exec`), or what setAttachTarget() put in its place. */
  get attachTarget(): string | undefined {
    return this.#attachTarget;
  }

  /** For fentry, fexit, fmod_ret, tp_btf, LSM and freplace (≥ 5.6; needs BTF of the target). */
  setAttachTarget(target: AttachTarget): void {
    const operation = `set attach target of ${this.name}`;
    const name = requireText(operation, 'function', target.function);
    const { program } = target;
    if (program !== undefined && !(program instanceof Program)) {
      throw argumentError(operation, 'program must be a Program');
    }
    // libbpf opens the BTF of a program by its id.
    const needs = program === undefined ? undefined : ({ does: 'open_by_id' } as const);
    this.#change('attach target', (object) => object.setAttachTarget(this.#index, program?.fd ?? -1, name), needs);
    this.#attachTarget = name;
  }

  #change(what: string, apply: Parameters<OpenedSpec['change']>[3], needs?: PrivilegedAction): void {
    this.#spec.change('BPF_ARGUMENT', `set ${what} of ${this.name}`, `program ${this.#index} ${what}`, apply, needs);
  }
}
