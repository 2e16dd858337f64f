import type { LineInfo } from './btf-ext.js';
import type { CallGraph, Placement } from './call-graph.js';
import type { CodeFunction } from './programs.js';
import { INSTRUCTION_BYTES } from './programs.js';

export interface SourceLine {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The text of the line, as the compiler kept it. */
  readonly text: string;
}

/** Maps instructions back to C, for the explanation of a verifier's refusal. */
export interface LineTable {
  /**
   * The line of one instruction as the verifier counts it: within the program that was loaded, its appended subprograms
   * included (libbpf's order). Undefined when the object has no line information for it.
   */
  lineAt(program: string, instruction: number): SourceLine | undefined;
}

export function buildLineTable(
  calls: CallGraph,
  functions: readonly CodeFunction[],
  lines: readonly LineInfo[],
): LineTable {
  const bySection = new Map<string, LineInfo[]>();
  for (const line of lines) {
    const list = bySection.get(line.section);
    if (list === undefined) bySection.set(line.section, [line]);
    else list.push(line);
  }
  for (const list of bySection.values()) list.sort((a, b) => a.offset - b.offset);
  const placements = new Map<string, Placement[]>();

  return {
    lineAt(program, instruction) {
      const main = functions.find((code) => code.isProgram && code.name === program);
      if (main === undefined || instruction < 0) return undefined;
      let placed = placements.get(program);
      if (placed === undefined) placements.set(program, (placed = calls.placementsOf(main)));
      const at = placed.findLast(({ first }) => first <= instruction);
      if (at === undefined || instruction - at.first >= at.code.instructionCount) return undefined;
      const offset = at.code.offset + (instruction - at.first) * INSTRUCTION_BYTES;
      const line = lastAtOrBefore(bySection.get(at.code.section.name) ?? [], offset);
      if (line === undefined || line.offset < at.code.offset) return undefined;
      return { file: line.file, line: line.line, column: line.column, text: line.text.trim() };
    },
  };
}

/** Line 0 is code that the compiler made up, such as a merged branch: the line before says more. */
function lastAtOrBefore(lines: readonly LineInfo[], offset: number): LineInfo | undefined {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((lines[middle] as LineInfo).offset <= offset) low = middle + 1;
    else high = middle;
  }
  let index = low - 1;
  while (index > 0 && lines[index]?.line === 0) index -= 1;
  return lines[index];
}
