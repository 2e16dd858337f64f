import type { InstructionView } from './instruction.js';
import { CLASS, OPCODE } from './instruction.js';

const REGISTERS = 11;
const CALLER_SAVED = 6;
const OPERATION_MASK = 0xf0;
const WORD = 64;
const ARITHMETIC = {
  add: 0x00,
  sub: 0x10,
  mul: 0x20,
  or: 0x40,
  and: 0x50,
  lsh: 0x60,
  rsh: 0x70,
  xor: 0xa0,
  mov: 0xb0,
  arsh: 0xc0,
} as const;
const PSEUDO_IMMEDIATE = 0;
const MODE_MASK = 0xe0;
const MODE_MEMORY = 0x60;

/** A place in data that is what it is when the program is loaded, and stays so. */
export interface Place {
  readonly bytes: Uint8Array;
  /** May lie outside of them. */
  readonly offset: number;
}

/** Immediates that are addresses: instruction → where in constant data, or undefined for anywhere else. */
export type Addresses = ReadonlyMap<number, Place | undefined>;

/** 64 unsigned bits, or the address of a place; undefined for anything. */
type Value = bigint | Place | undefined;
/** What is known of each register. */
type State = readonly Value[];

const NO_ADDRESSES: Addresses = new Map();

/**
 * The instructions of a program that can run, by what constants alone decide: a verifier drops the others before it looks at
 * them, which is how one object serves kernels that differ (`if (bpf_core_field_exists(…))`), and what parameters turn off: from
 * read-only maps that are frozen it knows what it reads (since 5.5, kernel commit a23740ec43ba). Memory counts as anything
 * otherwise, and so does what went through the stack, so that what is called dead is dead, and not the other way round.
 */
export class LiveCode {
  readonly #states: (State | undefined)[];

  /** `entries` are where functions begin. */
  constructor(
    readonly view: InstructionView,
    entries: Iterable<number>,
    private readonly addresses: Addresses = NO_ADDRESSES,
  ) {
    this.#states = Array.from({ length: view.count }, () => undefined);
    const unknown: State = Array.from({ length: REGISTERS }, () => undefined);
    const pending: number[] = [];
    for (const entry of entries) this.#reach(entry, unknown, pending);
    // A state only ever loses constants, so an instruction is looked at no more often than there are registers.
    while (pending.length > 0) {
      const at = pending.pop() as number;
      const state = after(view, at, this.#states[at] as State, this.addresses);
      for (const next of this.next(at)) this.#reach(next, state, pending);
    }
  }

  isLive(at: number): boolean {
    return this.#states[at] !== undefined;
  }

  /** Where a live instruction may lead; what follows it in the code comes first. */
  next(at: number): readonly number[] {
    const state = this.#states[at];
    return state === undefined ? [] : successors(this.view, at, state);
  }

  #reach(at: number, state: State, pending: number[]): void {
    if (at < 0 || at >= this.view.count) return;
    const before = this.#states[at];
    const joined = before === undefined ? state : join(before, state);
    if (joined === before) return;
    this.#states[at] = joined;
    pending.push(at);
  }
}

function join(a: State, b: State): State {
  return a.every((value, register) => value === undefined || isSame(value, b[register]))
    ? a
    : a.map((value, register) => (isSame(value, b[register]) ? value : undefined));
}

function isSame(a: Value, b: Value): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  return a.bytes === b.bytes && a.offset === b.offset;
}

function successors(view: InstructionView, at: number, state: State): number[] {
  if (view.opcode(at) === OPCODE.exit) return [];
  const next = at + (view.isLoadImmediate64(at) ? 2 : 1);
  const target = view.jumpTarget(at);
  if (target === undefined) return [next];
  if (view.isJump(at)) return [target];
  const taken = decide(view, at, state);
  if (taken === undefined) return [next, target];
  return [taken ? target : next];
}

/** Whether a branch is taken; undefined where constants do not say. */
function decide(view: InstructionView, at: number, state: State): boolean | undefined {
  const bits = view.class(at) === CLASS.jmp ? WORD : WORD / 2;
  const left = state[view.destination(at)];
  const right = operand(view, at, state);
  if (typeof left !== 'bigint' || typeof right !== 'bigint') return undefined;
  const [a, b] = [BigInt.asUintN(bits, left), BigInt.asUintN(bits, right)];
  const [signedA, signedB] = [BigInt.asIntN(bits, left), BigInt.asIntN(bits, right)];
  switch (view.opcode(at) & OPERATION_MASK) {
    case 0x10:
      return a === b;
    case 0x20:
      return a > b;
    case 0x30:
      return a >= b;
    case 0x40:
      return (a & b) !== 0n;
    case 0x50:
      return a !== b;
    case 0x60:
      return signedA > signedB;
    case 0x70:
      return signedA >= signedB;
    case 0xa0:
      return a < b;
    case 0xb0:
      return a <= b;
    case 0xc0:
      return signedA < signedB;
    case 0xd0:
      return signedA <= signedB;
    default:
      // may_goto: the kernel decides.
      return undefined;
  }
}

/** Immediates are sign-extended to 64 bits. */
function operand(view: InstructionView, at: number, state: State): Value {
  return view.usesImmediate(at) ? BigInt.asUintN(WORD, BigInt(view.immediate(at))) : state[view.source(at)];
}

function after(view: InstructionView, at: number, state: State, addresses: Addresses): State {
  switch (view.class(at)) {
    case CLASS.alu:
    case CLASS.alu64:
      return withRegister(state, view.destination(at), calculate(view, at, state));
    case CLASS.ldx:
      return withRegister(state, view.destination(at), loaded(view, at, state[view.source(at)]));
    case CLASS.ld:
      return afterLoad(view, at, state, addresses);
    case CLASS.stx:
      // An atomic operation may give back the old value, in the source register or in r0.
      return withRegister(withRegister(state, view.source(at), undefined), 0, undefined);
    default:
      return view.opcode(at) === OPCODE.call
        ? state.map((value, register) => (register < CALLER_SAVED ? undefined : value))
        : state;
  }
}

/** What a load from constant data gives: of its forms the plain one, which fills up with zeros. */
function loaded(view: InstructionView, at: number, from: Value): bigint | undefined {
  if (typeof from !== 'object' || (view.opcode(at) & MODE_MASK) !== MODE_MEMORY) return undefined;
  const { bytes } = from;
  const [begin, length] = [from.offset + view.offset(at), view.memoryBytes(at)];
  if (length === 0 || begin < 0 || begin + length > bytes.length) return undefined;
  let value = 0n;
  for (let index = 0; index < length; index += 1) {
    value = (value << 8n) | BigInt(bytes[view.littleEndian ? begin + length - 1 - index : begin + index] as number);
  }
  return value;
}

function afterLoad(view: InstructionView, at: number, state: State, addresses: Addresses): State {
  // The old packet loads give their value in r0, and lose what a call loses.
  if (!view.isLoadImmediate64(at)) return state.map((value, register) => (register < CALLER_SAVED ? undefined : value));
  if (addresses.has(at)) return withRegister(state, view.destination(at), addresses.get(at));
  const plain = view.source(at) === PSEUDO_IMMEDIATE && at + 1 < view.count;
  const value = plain ? (BigInt(view.immediate(at + 1) >>> 0) << 32n) | BigInt(view.immediate(at) >>> 0) : undefined;
  return withRegister(state, view.destination(at), value);
}

function withRegister(state: State, register: number, value: Value): State {
  if (state[register] === value) return state;
  return state.map((before, index) => (index === register ? value : before));
}

function calculate(view: InstructionView, at: number, state: State): Value {
  const right = operand(view, at, state);
  // With an offset it is a sign-extending move or a signed division.
  if (right === undefined || view.offset(at) !== 0) return undefined;
  const bits = view.class(at) === CLASS.alu64 ? WORD : WORD / 2;
  const operation = view.opcode(at) & OPERATION_MASK;
  if (operation === ARITHMETIC.mov) {
    if (typeof right === 'bigint') return BigInt.asUintN(bits, right);
    return bits === WORD ? right : undefined;
  }
  const left = state[view.destination(at)];
  if (left === undefined || typeof right !== 'bigint') return undefined;
  if (typeof left === 'object') {
    return operation === ARITHMETIC.add && bits === WORD ? moved(left, BigInt.asIntN(bits, right)) : undefined;
  }
  const result = combine(operation, BigInt.asUintN(bits, left), BigInt.asUintN(bits, right), bits);
  return result === undefined ? undefined : BigInt.asUintN(bits, result);
}

function moved({ bytes, offset }: Place, by: bigint): Place | undefined {
  const to = BigInt(offset) + by;
  return to < 0n || to > BigInt(bytes.length) ? undefined : { bytes, offset: Number(to) };
}

function combine(operation: number, a: bigint, b: bigint, bits: number): bigint | undefined {
  const shift = b & BigInt(bits - 1);
  switch (operation) {
    case ARITHMETIC.add:
      return a + b;
    case ARITHMETIC.sub:
      return a - b;
    case ARITHMETIC.mul:
      return a * b;
    case ARITHMETIC.or:
      return a | b;
    case ARITHMETIC.and:
      return a & b;
    case ARITHMETIC.xor:
      return a ^ b;
    case ARITHMETIC.lsh:
      return a << shift;
    case ARITHMETIC.rsh:
      return a >> shift;
    case ARITHMETIC.arsh:
      return BigInt.asIntN(bits, a) >> shift;
    default:
      return undefined;
  }
}
