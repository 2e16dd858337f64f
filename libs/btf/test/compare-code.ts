import { InstructionView } from '../src/core/instruction.js';

/**
 * Instructions one by one, to be compared with libbpf's. References to maps, data and functions are the loader's own business:
 * their registers and immediates are left out, by what libbpf has made of them. `skip` leaves out whole instructions.
 */
export function comparable(
  code: Uint8Array,
  reference: Uint8Array,
  littleEndian = true,
  skip: (instruction: number) => boolean = () => false,
): string[] {
  const theirs = new InstructionView(reference, true);
  const view = new InstructionView(code, littleEndian);
  const opened = (at: number): boolean => at >= 0 && theirs.isLoadImmediate64(at) && theirs.source(at) !== 0;
  return Array.from({ length: view.count }, (_, at) => {
    if (skip(at)) return 'skipped';
    const source = opened(at) ? 'any' : view.source(at);
    const immediate = opened(at) || opened(at - 1) ? 'any' : view.immediate(at);
    const opcode = view.opcode(at).toString(16);
    return `${opcode} r${view.destination(at)} r${source} ${view.offset(at)} ${immediate}`;
  });
}
