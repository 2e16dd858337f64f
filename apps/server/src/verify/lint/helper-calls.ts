import { parseElf } from '@bpfleet/btf';
import type { BpfObjectFile } from '@bpfleet/btf';

export interface HelperCall {
  /** Number in `enum bpf_func_id`. */
  helper: number;
  /** The program, or undefined for a subprogram that any program of the object may call. */
  program: string | undefined;
}

const INSTRUCTION_BYTES = 8;
const CALL = 0x85;
const LOAD_IMMEDIATE_64 = 0x18;
const PSEUDO_HELPER = 0;

/** Helpers that change what a process sees or does, by number (linux/bpf.h). */
export const INTRUSIVE_HELPERS: ReadonlyMap<number, string> = new Map([
  [36, 'bpf_probe_write_user'],
  [58, 'bpf_override_return'],
  [109, 'bpf_send_signal'],
  [117, 'bpf_send_signal_thread'],
  [166, 'bpf_sys_bpf'],
]);

export const TRACE_PRINTK_HELPERS: ReadonlyMap<number, string> = new Map([
  [6, 'bpf_trace_printk'],
  [177, 'bpf_trace_vprintk'],
]);

/** Every helper that the object's code calls, once per program; calls of subprograms and kernel functions are not helpers. */
export function helperCalls(bytes: Uint8Array, object: BpfObjectFile): HelperCall[] {
  const elf = parseElf(bytes);
  const found = new Map<string, HelperCall>();
  for (const section of elf.sections) {
    const isCode = section.name === '.text' || object.programs.some((program) => program.section === section.name);
    if (!isCode) continue;
    const view = new DataView(section.data.buffer, section.data.byteOffset, section.data.byteLength);
    for (let at = 0; at + INSTRUCTION_BYTES <= view.byteLength; at += INSTRUCTION_BYTES) {
      const opcode = view.getUint8(at);
      if (opcode === LOAD_IMMEDIATE_64) at += INSTRUCTION_BYTES; // two instructions wide
      if (opcode !== CALL || view.getUint8(at + 1) >> 4 !== PSEUDO_HELPER) continue;
      const helper = view.getInt32(at + 4, true);
      const offset = at;
      const program = object.programs.find(
        (p) =>
          p.section === section.name &&
          p.offset <= offset &&
          offset < p.offset + p.instructionCount * INSTRUCTION_BYTES,
      )?.name;
      found.set(`${program ?? ''} ${helper}`, { helper, program });
    }
  }
  return [...found.values()];
}
