import { basename } from 'node:path';
import { findReadMismatches, resolveCoreRelocations } from '@bpfleet/btf';
import type { BpfObjectFile, Btf, ReadMismatch } from '@bpfleet/btf';
import type { LintFinding } from './lint-object.js';

/** A kernel of the fleet, as people call it. */
export interface KernelToLint {
  readonly name: string;
  readonly btf: Btf;
}

/**
 * Reads that load on one kernel and give something else there than what the field holds: silent garbage, so an error for the
 * kernel group (DESIGN §4.3), though the release may serve the others.
 * @throws BtfError BTF_LIMIT; BTF_INVALID when the kernel has the other byte order
 */
export function lintReads(object: BpfObjectFile, kernel: KernelToLint): LintFinding[] {
  return findReadMismatches(object, resolveCoreRelocations(object, kernel.btf)).map((read) => ({
    severity: 'error',
    rule: 'read_size',
    message: readSentence(read, `on ${kernel.name}`),
    program: read.program,
  }));
}

/** What is read, what is there, and what to write instead, with the line. */
export function readSentence(
  { kind, program, field, readBytes, fieldBytes, isPointer, line }: ReadMismatch,
  where: string,
): string {
  const place = line === undefined ? `Program ${program}` : `Program ${program}, ${basename(line.file)}:${line.line},`;
  const write = `write ${isPointer ? 'bpfleet_read_pointer' : 'bpfleet_read'}(…), which reads it in the size that it has`;
  switch (kind) {
    case 'past_end':
      return `${place} reads ${readBytes} bytes of ${field}, which has ${fieldBytes} ${where}, and gets garbage: ${write}.`;
    case 'truncated':
      return `${place} reads ${readBytes} bytes of ${field}, which has ${fieldBytes} ${where}, and cuts large values off: ${write}.`;
    case 'unsafe_resize':
      return `${place} touches ${field} directly with ${readBytes} bytes, and it has ${fieldBytes} ${where}, where libbpf makes the instruction invalid: ${write}.`;
  }
}
