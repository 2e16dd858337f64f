import type { SourcePackage } from './package.js';

export interface Diagnostic {
  /** As in the package, or the header's path in the jail; empty when the compiler named none. */
  file: string;
  /** From 1; 0 when the compiler named none. */
  line: number;
  column: number;
  severity: 'error' | 'warning' | 'note';
  message: string;
  sourceLine?: string;
}

export type CompileFailure = 'diagnostics' | 'timeout' | 'memory' | 'output' | 'crash';

/** The compiler refused the source, or was stopped at one of its limits (`reason`). */
export class CompileError extends Error {
  readonly code = 'COMPILE_FAILED';
  constructor(
    message: string,
    readonly reason: CompileFailure,
    readonly diagnostics: Diagnostic[],
    /** What the compiler printed, bounded. */
    readonly output: string,
  ) {
    super(message);
    this.name = 'CompileError';
  }
}

const DIAGNOSTICS_MAX = 100;
const MESSAGE_CHARS_MAX = 1000;
const LOCATED =
  /^(?<file>[^\s:][^:]*):(?<line>\d+):(?<column>\d+): (?<severity>fatal error|error|warning|note|remark): (?<message>.*)$/;
// What the code generator says, as of a stack that is too large, puts the severity first.
const BACKEND =
  /^(?<severity>fatal error|error|warning): (?<file>[^\s:][^:]*):(?<line>\d+):(?<column>\d+): (?<message>.*)$/;
const BARE = /^(?:clang(?:-\d+)?: )?(?<severity>fatal error|error|warning): (?<message>.*)$/;

function severityOf(word: string): Diagnostic['severity'] {
  if (word.endsWith('error')) return 'error';
  return word === 'warning' ? 'warning' : 'note';
}

/** What clang printed, as facts; `sourceLine` is taken from the package, never from the output. */
export function parseDiagnostics(output: string, pkg: SourcePackage): Diagnostic[] {
  const sources = new Map<string, string[]>();
  for (const file of pkg.files) sources.set(file.name, file.bytes.toString('utf8').split(/\r?\n/));
  const found: Diagnostic[] = [];
  for (const text of output.split('\n')) {
    if (found.length >= DIAGNOSTICS_MAX) break;
    const groups = (LOCATED.exec(text) ?? BACKEND.exec(text) ?? BARE.exec(text))?.groups;
    if (!groups) continue;
    const file = (groups['file'] ?? '').replace(/^(\.\/|\/src\/)/, '');
    const line = Number(groups['line'] ?? 0);
    const sourceLine = sources.get(file)?.[line - 1];
    found.push({
      file,
      line,
      column: Number(groups['column'] ?? 0),
      severity: severityOf(groups['severity'] ?? 'note'),
      message: (groups['message'] ?? '').slice(0, MESSAGE_CHARS_MAX),
      ...(sourceLine === undefined ? {} : { sourceLine }),
    });
  }
  return found;
}

/** "trace.bpf.c:3:5: use of undeclared identifier 'x'": the first error, for people who read one line. */
export function firstError(diagnostics: readonly Diagnostic[]): string | undefined {
  const error = diagnostics.find((diagnostic) => diagnostic.severity === 'error');
  if (!error) return undefined;
  return error.file === '' ? error.message : `${error.file}:${error.line}:${error.column}: ${error.message}`;
}
