import { CLASS, InstructionView, OPCODE } from './instruction.js';

/** Instructions looked at behind the one that makes an address; clang reads within a dozen. */
const WINDOW = 96;
/** `bpf_probe_read`, `bpf_probe_read_user`, `bpf_probe_read_kernel`: (to, bytes, from). */
const PROBE_READS: ReadonlySet<number> = new Set([4, 112, 113]);
const FRAME_REGISTER = 10;
const LENGTH_REGISTER = 2;
const FROM_REGISTER = 3;
const CALLER_SAVED = [0, 1, 2, 3, 4, 5];
const OPCODE_JUMP = 0x05;

/** One read from an address that a relocation made. */
export interface AddressRead {
  readonly instruction: number;
  /** Undefined when a relocation decides it: then the program asks the kernel for the size. */
  readonly bytes: number | undefined;
}

/** Whether an instruction has a relocation of its own. */
export type IsRelocated = (instruction: number) => boolean;

/**
 * Follows an address from the instruction that adds a field's offset to the reads that use it, in a straight line: through
 * copies, sums and spills. Branches are followed where they fall through, so what is found is certain and may not be all.
 */
export function readsThrough(view: InstructionView, from: number, isRelocated: IsRelocated): AddressRead[] {
  const trace = new Trace(view, isRelocated);
  trace.learnConstants(from);
  trace.addresses.add(view.destination(from));
  const last = Math.min(view.count, from + WINDOW);
  let at = from + (view.isLoadImmediate64(from) ? 2 : 1);
  while (at < last && trace.isAlive && view.opcode(at) !== OPCODE.exit) {
    trace.step(at);
    const jumps = view.opcode(at) === OPCODE_JUMP && view.offset(at) >= 0;
    if (view.opcode(at) === OPCODE_JUMP && !jumps) break;
    at += 1 + (jumps ? view.offset(at) : view.isLoadImmediate64(at) ? 1 : 0);
  }
  return trace.reads;
}

/** What a straight line of instructions does to the registers. */
class Trace {
  readonly reads: AddressRead[] = [];
  /** Registers that hold the address. */
  readonly addresses = new Set<number>();
  readonly #spilled = new Set<number>();
  readonly #constants = new Map<number, number | 'relocated'>();

  constructor(
    readonly view: InstructionView,
    readonly isRelocated: IsRelocated,
  ) {}

  get isAlive(): boolean {
    return this.addresses.size > 0 || this.#spilled.size > 0;
  }

  /** A length is often set before the address is made. Where branches meet, nothing is known any more. */
  learnConstants(until: number): void {
    const meeting = new Set<number>();
    for (let at = 0; at < this.view.count; at += 1) {
      const branches = this.view.class(at) === CLASS.jmp || this.view.class(at) === CLASS.jmp32;
      if (branches && this.view.opcode(at) !== OPCODE.call) meeting.add(at + 1 + this.view.offset(at));
    }
    for (let at = Math.max(0, until - WINDOW); at < until; at += 1) {
      if (meeting.has(at)) this.#constants.clear();
      this.step(at);
    }
    this.addresses.clear();
    this.#spilled.clear();
    this.reads.length = 0;
  }

  step(at: number): void {
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
      this.#set(to, false, this.isRelocated(at) ? 'relocated' : view.immediate(at));
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
