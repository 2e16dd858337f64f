import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { LOG_FILE_BYTES_MAX, capLogFile } from '@bpfleet/embedded';

const LAST_LINES_MAX = 20;
const LINE_CHARS_MAX = 2_000;

/** The log of one process: a file that keeps at most twice 8 MiB, and the last lines in memory for an error message. */
export class ProcessLog {
  readonly file: string;
  private readonly last: string[] = [];
  private readonly descriptor: number;
  private bytesSinceCheck = 0;

  constructor(folder: string, name: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.file = join(folder, `${name}.log`);
    this.descriptor = openSync(this.file, 'a', 0o600);
    capLogFile(this.file);
  }

  write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    writeSync(this.descriptor, bytes);
    this.bytesSinceCheck += bytes.length;
    if (this.bytesSinceCheck > LOG_FILE_BYTES_MAX / 8) {
      this.bytesSinceCheck = 0;
      capLogFile(this.file);
    }
    this.last.push(line.slice(0, LINE_CHARS_MAX));
    if (this.last.length > LAST_LINES_MAX) this.last.shift();
  }

  /** What the process said last that reads like a reason; empty when there is no such line. */
  lastReason(): string {
    const complaints = this.last.filter((line) => line.trim() !== '' && !isRoutine(line));
    return reasonOf(complaints.findLast((line) => /fatal|error|refus/i.test(line)) ?? complaints.at(-1) ?? '');
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

function isRoutine(line: string): boolean {
  return line.startsWith('--- ') || /^\{.*"(ready":true|level":"(info|debug)")/.test(line);
}

/** The sentence inside a structured log line, or the line itself. */
export function reasonOf(line: string): string {
  try {
    const parsed: unknown = JSON.parse(line);
    const message = (parsed as { message?: unknown; error?: { message?: unknown } } | null)?.message;
    const nested = (parsed as { error?: { message?: unknown } } | null)?.error?.message;
    const text = typeof message === 'string' ? message : nested;
    return typeof text === 'string' ? (text.split('\n')[0] ?? '') : line;
  } catch {
    return line;
  }
}
