import { safeText } from './terminal-text.js';

export interface CommandIo {
  /** Results. */
  out(text: string): void;
  /** Progress, questions and errors. */
  err(text: string): void;
}

/** Writes results: for people, or with `--json` one JSON value (for a tail, one on each line). */
export class Printer {
  constructor(
    private readonly io: CommandIo,
    readonly json: boolean,
  ) {}

  /** The command's result. `text` makes the lines for people; every string in them must be safe already. */
  result(value: unknown, text: () => readonly string[]): void {
    if (this.json) this.io.out(`${JSON.stringify(value)}\n`);
    else for (const line of text()) this.io.out(`${line}\n`);
  }

  /** A remark beside the result; it never mixes with it. */
  note(line: string): void {
    this.io.err(`${line}\n`);
  }
}

export interface TableColumn<T> {
  title: string;
  right?: boolean;
  cell: (row: T) => string;
}

const cellLettersMax = 60;

/** Lines of a table; cells are made safe and cut here. */
export function tableLines<T>(rows: readonly T[], columns: readonly TableColumn<T>[]): string[] {
  const cells = rows.map((row) => columns.map((column) => cut(safeText(column.cell(row)))));
  const widths = columns.map((column, i) => Math.max(column.title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) => (columns[i]?.right ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...cells.map(line)];
}

function cut(text: string): string {
  return text.length > cellLettersMax ? `${text.slice(0, cellLettersMax - 1)}…` : text;
}
