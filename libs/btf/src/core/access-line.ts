import type { SourceLine } from '../object/line-table.js';
import type { BpfObjectFile } from '../object/types.js';
import { CLASS, InstructionView, OPCODE } from './instruction.js';

/** Instructions looked at behind the one that is relocated; clang uses what it holds within a dozen. */
const WINDOW = 96;
const ARGUMENTS = [1, 2, 3, 4, 5];
const CALLER_SAVED = [0, ...ARGUMENTS];

/**
 * The line of the access that a CO-RE relocation of this instruction serves, counted as the verifier does. clang gives the
 * instruction that only holds a field's offset no line of its own, so that `lines.lineAt` tells that of whatever came before:
 * what it holds is followed to the instruction that uses it. Undefined when the object has no line information there.
 */
export function accessLineAt(object: BpfObjectFile, program: string, instruction: number): SourceLine | undefined {
  const parts = object.code.partsOf(program) ?? [];
  const part = parts.find(({ first, instructionCount }) => {
    return instruction >= first && instruction < first + instructionCount;
  });
  if (part === undefined) return undefined;
  const view = new InstructionView(part.bytes, object.littleEndian);
  return object.lines.lineAt(program, part.first + useOf(view, instruction - part.first));
}

/** Straight ahead, since what clang makes of one expression seldom has a branch in it. Itself where it is an access. */
function useOf(view: InstructionView, from: number): number {
  if (!isAssignment(view, from)) return from;
  const held = new Set([view.destination(from)]);
  const end = Math.min(view.count, from + WINDOW);
  for (let at = from + 1; at < end && held.size > 0; at += 1) {
    if (view.isJump(at)) return from;
    if (isUse(view, at, held)) return at;
    follow(view, at, held);
  }
  return from;
}

function isAssignment(view: InstructionView, at: number): boolean {
  const kind = view.class(at);
  return kind === CLASS.alu || kind === CLASS.alu64 || kind === CLASS.ld;
}

/** Reads or writes through a register that is held, compares it, or hands it to a function. */
function isUse(view: InstructionView, at: number, held: ReadonlySet<number>): boolean {
  switch (view.class(at)) {
    case CLASS.ldx:
      return held.has(view.source(at));
    case CLASS.st:
    case CLASS.stx:
      return held.has(view.destination(at));
    case CLASS.jmp:
    case CLASS.jmp32:
      if (view.opcode(at) === OPCODE.call) return ARGUMENTS.some((register) => held.has(register));
      return held.has(view.destination(at)) || (!view.usesImmediate(at) && held.has(view.source(at)));
    default:
      return false;
  }
}

/** Copies and sums of what is held are held too. */
function follow(view: InstructionView, at: number, held: Set<number>): void {
  const to = view.destination(at);
  switch (view.class(at)) {
    case CLASS.alu:
    case CLASS.alu64: {
      const isHeld = !view.usesImmediate(at) && held.has(view.source(at));
      if (isHeld) held.add(to);
      else if (view.opcode(at) === OPCODE.movReg || view.opcode(at) === OPCODE.movImm) held.delete(to);
      return;
    }
    case CLASS.ld:
      // Not the second half of one, which names no register.
      if (view.isLoadImmediate64(at)) held.delete(to);
      return;
    case CLASS.ldx:
      held.delete(to);
      return;
    case CLASS.jmp:
      if (view.opcode(at) === OPCODE.call) for (const register of CALLER_SAVED) held.delete(register);
      return;
    default:
  }
}
