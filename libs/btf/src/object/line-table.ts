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
