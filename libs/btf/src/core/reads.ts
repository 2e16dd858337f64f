import type { InstructionView } from './instruction.js';
import { CLASS, OPCODE } from './instruction.js';
import type { StepBudget } from './step-budget.js';

/** Instructions looked at behind the one that makes an address; clang reads within a dozen. */
const WINDOW = 96;
/** `bpf_probe_read`, `bpf_probe_read_user`, `bpf_probe_read_kernel`: (to, bytes, from). */
const PROBE_READS: ReadonlySet<number> = new Set([4, 112, 113]);
const FRAME_REGISTER = 10;
const LENGTH_REGISTER = 2;
const FROM_REGISTER = 3;
const CALLER_SAVED = [0, 1, 2, 3, 4, 5];
/** Ways through the branches behind one address. */
const PATHS_MAX = 64;

/** One read from an address that a relocation made. */
export interface AddressRead {
  readonly instruction: number;
  /** Undefined when a relocation decides it: then the program asks the kernel for the size. */
  readonly bytes: number | undefined;
}

/** A function's code, and what else is known of it. */
export interface Surroundings {
  readonly view: InstructionView;
  /** Whether an instruction has a relocation of its own. */
  readonly isRelocated: (instruction: number) => boolean;
  /** Where an instruction may lead. */
  readonly next: (instruction: number) => readonly number[];
  /** Where branches lead, taken or not. */
  readonly targets: ReadonlySet<number>;
  /** What is left for all addresses together. */
  readonly steps: StepBudget;
}

export function branchTargets(view: InstructionView): Set<number> {
  const targets = new Set<number>();
  for (let at = 0; at < view.count; at += 1) {
    const target = view.jumpTarget(at);
    if (target !== undefined) targets.add(target);
  }
  return targets;
}

/**
 * Follows an address from the instruction that adds a field's offset to the reads that use it: through copies, sums and
 * spills, and along every way that a branch may take. A loop is not entered again, and what is not sure to be the address is
 * not followed, so what is found is certain and may not be all.
 * @throws BtfError BTF_LIMIT
 */
export function readsThrough(from: number, around: Surroundings): AddressRead[] {
  const first = new Trace(around);
  first.learnConstants(from);
  first.addresses.add(around.view.destination(from));
  const found = new Map<number, AddressRead>();
  const pending = around.next(from).map((at) => ({ trace: first.fork(), at }));
  const last = Math.min(around.view.count, from + WINDOW);
  for (let path = 0; pending.length > 0 && path < PATHS_MAX; path += 1) {
    const { trace, at: start } = pending.pop() as (typeof pending)[number];
    for (let at: number | undefined = start; at !== undefined && at < last && trace.isAlive;) {
      trace.step(at);
      const here: number = at;
      const [onward, ...others] = around.next(here).filter((target) => target > here);
      for (const other of others) pending.push({ trace: trace.fork(), at: other });
      at = onward;
    }
    for (const read of trace.reads) found.set(read.instruction, read);
  }
  return [...found.values()].sort((a, b) => a.instruction - b.instruction);
}

/** What instructions on one way do to the registers. */
class Trace {
  readonly reads: AddressRead[] = [];
  /** Registers that hold the address. */
  readonly addresses = new Set<number>();
  readonly #spilled = new Set<number>();
  readonly #constants = new Map<number, number | 'relocated'>();

  readonly view: InstructionView;

  constructor(readonly around: Surroundings) {
    this.view = around.view;
  }

  /** The same state, to go another way. */
  fork(): Trace {
    const copy = new Trace(this.around);
    for (const register of this.addresses) copy.addresses.add(register);
    for (const slot of this.#spilled) copy.#spilled.add(slot);
    for (const [register, constant] of this.#constants) copy.#constants.set(register, constant);
    return copy;
  }

  get isAlive(): boolean {
    return this.addresses.size > 0 || this.#spilled.size > 0;
  }

  /** A length is often set before the address is made. Where branches meet, nothing is known any more. */
  learnConstants(until: number): void {
    for (let at = Math.max(0, until - WINDOW); at < until; at += 1) {
      if (this.around.targets.has(at)) this.#constants.clear();
      this.step(at);
    }
    this.addresses.clear();
    this.#spilled.clear();
    this.reads.length = 0;
  }

  step(at: number): void {
    this.around.steps.spend();
    switch (this.view.class(at)) {
      case CLASS.alu:
      case CLASS.alu64:
        return this.#arithmetic(at);
      case CLASS.ldx:
        return this.#load(at);
      case CLASS.st:
        return this.#forgetSlot(this.view.destination(at), this.view.offset(at));
      case CLASS.stx:
        return this.#store(at);
      case CLASS.ld:
        return this.#set(this.view.destination(at), false, undefined);
      default:
        if (this.view.opcode(at) === OPCODE.call) this.#call(at);
    }
  }

  #set(register: number, isAddress: boolean, constant: number | 'relocated' | undefined): void {
    if (isAddress) this.addresses.add(register);
    else this.addresses.delete(register);
    if (constant === undefined) this.#constants.delete(register);
    else this.#constants.set(register, constant);
  }

  #arithmetic(at: number): void {
    const { view } = this;
    const to = view.destination(at);
    const from = view.source(at);
    const opcode = view.opcode(at);
    if ((opcode & 0xf8) === (OPCODE.movImm & 0xf8) && view.usesImmediate(at)) {
      this.#set(to, false, this.around.isRelocated(at) ? 'relocated' : view.immediate(at));
    } else if (opcode === OPCODE.movReg) {
      this.#set(to, this.addresses.has(from), this.#constants.get(from));
    } else if (opcode === OPCODE.addReg) {
      this.#set(to, this.addresses.has(to) || this.addresses.has(from), undefined);
    } else {
      this.#set(to, false, undefined);
    }
  }

  #load(at: number): void {
    const { view } = this;
    const from = view.source(at);
    if (this.addresses.has(from) && view.offset(at) === 0) {
      this.reads.push({ instruction: at, bytes: view.memoryBytes(at) });
    }
    const reloaded = from === FRAME_REGISTER && this.#spilled.has(view.offset(at)) && view.memoryBytes(at) === 8;
    this.#set(view.destination(at), reloaded, undefined);
  }

  #store(at: number): void {
    const { view } = this;
    if (view.destination(at) !== FRAME_REGISTER) return;
    if (this.addresses.has(view.source(at)) && view.memoryBytes(at) === 8) this.#spilled.add(view.offset(at));
    else this.#forgetSlot(FRAME_REGISTER, view.offset(at));
  }

  #forgetSlot(register: number, offset: number): void {
    if (register === FRAME_REGISTER) this.#spilled.delete(offset);
  }

  #call(at: number): void {
    const isHelper = this.view.source(at) === 0;
    const length = this.#constants.get(LENGTH_REGISTER);
    if (isHelper && PROBE_READS.has(this.view.immediate(at)) && this.addresses.has(FROM_REGISTER)) {
      if (length !== undefined)
        this.reads.push({ instruction: at, bytes: length === 'relocated' ? undefined : length });
    }
    for (const register of CALLER_SAVED) this.#set(register, false, undefined);
  }
}
