import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { capLogFile } from '@bpfleet/embedded';

const TAIL_BYTES = 16 * 1024;
const CAP_INTERVAL_MS = 60_000;

/**
 * The log of one process, at most twice 8 MiB. The process writes to the file itself: a pipe would break when the supervisor
 * is killed, and the agent, which then has probes to detach, would die of its next log line.
 */
export class ProcessLog {
  readonly file: string;
  /** For the child's standard error. */
  readonly descriptor: number;
  private readonly capping: NodeJS.Timeout;
  private startOffset = 0;
  private closed = false;

  constructor(folder: string, name: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.file = join(folder, `${name}.log`);
    this.descriptor = openSync(this.file, 'a+', 0o600);
    this.capping = setInterval(() => capLogFile(this.file), CAP_INTERVAL_MS);
    this.capping.unref();
  }

  /** Begins the part of the log that belongs to a new start of the process. */
  begin(): void {
    capLogFile(this.file);
    this.write(`--- ${new Date().toISOString()} starting`);
    this.startOffset = fstatSync(this.descriptor).size;
  }

  write(line: string): void {
    writeSync(this.descriptor, `${line}\n`);
  }

  /** What the process said last, since `begin`, that reads like a reason; empty when there is no such line. */
  lastReason(): string {
    const complaints = this.tail().filter((line) => line.trim() !== '' && !isRoutine(line));
    return reasonOf(complaints.findLast((line) => /fatal|error|refus/i.test(line)) ?? complaints.at(-1) ?? '');
  }

  /** May be called again. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.capping);
    closeSync(this.descriptor);
  }

  private tail(): string[] {
    const { size } = fstatSync(this.descriptor);
    // The file was emptied in between when it is shorter than it was.
    const from = Math.max(size - TAIL_BYTES, this.startOffset > size ? 0 : this.startOffset);
    const buffer = Buffer.alloc(Math.max(size - from, 0));
    const bytes = readSync(this.descriptor, buffer, 0, buffer.length, from);
    return buffer.subarray(0, bytes).toString('utf8').split('\n');
  }
}

function isRoutine(line: string): boolean {
  return line.startsWith('--- ') || /^\{.*"(ready":true|level":"(info|debug)")/.test(line);
}

/** The sentence inside a structured log line, or the line itself. */
export function reasonOf(line: string): string {
  try {
    const parsed: unknown = JSON.parse(line);
    const message = (parsed as { message?: unknown } | null)?.message;
    const nested = (parsed as { error?: { message?: unknown } } | null)?.error?.message;
    const text = typeof message === 'string' ? message : nested;
    return typeof text === 'string' ? (text.split('\n')[0] ?? '') : line;
  } catch {
    return line;
  }
}
