import { Injectable, Logger } from '@nestjs/common';
import { Clock } from '../../platform/clock.js';

const WINDOW_MS = 60_000;
const LINES_PER_WINDOW_MAX = 30;
const CODES_MAX = 64;

const STACK_CHARS_MAX = 2000;

/**
 * Counts what was dropped, by code, and logs some of it: a device that talks nonsense must not fill the log, nor must a
 * database that answers nobody. Each kind has lines of its own, or one could hide another.
 */
@Injectable()
export class Refusals {
  private readonly log = new Logger('ControlDispatcher');
  private readonly counts = new Map<string, number>();
  private readonly dropped = new LineBudget((unsaid) =>
    this.log.warn(`${unsaid} more messages were dropped in that minute`),
  );
  private readonly failed = new LineBudget((unsaid) =>
    this.log.error(`${unsaid} more messages could not be handled in that minute`),
  );

  private readonly commands = new LineBudget((unsaid) =>
    this.log.warn(`${unsaid} more commands failed on devices in that minute`),
  );

  constructor(private readonly clock: Clock) {}

  /** The device's fault. */
  count(code: string, device: string, message: string): void {
    this.add(code);
    if (this.dropped.take(this.clock.now())) this.log.warn(`dropped a message of ${device}: ${code}: ${message}`);
  }

  /** A device says that it did not do what it was told: anything may be said to have failed, as often as it likes. */
  commandFailed(device: string, message: string): void {
    this.add('COMMAND_FAILED');
    if (this.commands.take(this.clock.now())) this.log.warn(`a command failed on ${device}: ${message}`);
  }

  /** The server's. The device asks or reports again: everything it says is said again at its next sync or report. */
  fail(kind: string, device: string, error: unknown): void {
    this.add('HANDLER_FAILED');
    if (!this.failed.take(this.clock.now())) return;
    const stack = (error as Error).stack ?? String(error);
    this.log.error(`${kind} of ${device}: ${stack.slice(0, STACK_CHARS_MAX)}`);
  }

  private add(code: string): void {
    if (this.counts.has(code) || this.counts.size < CODES_MAX) this.counts.set(code, (this.counts.get(code) ?? 0) + 1);
  }

  /** Since the start of this process. */
  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.counts);
  }
}

/** So many lines in a minute; what was left out is said when the next minute's first line is. */
class LineBudget {
  private windowStart = 0;
  private lines = 0;

  constructor(private readonly sayUnsaid: (lines: number) => void) {}

  take(at: Date): boolean {
    const now = at.getTime();
    if (now - this.windowStart >= WINDOW_MS) {
      const unsaid = this.lines - LINES_PER_WINDOW_MAX;
      if (unsaid > 0) this.sayUnsaid(unsaid);
      this.windowStart = now;
      this.lines = 0;
    }
    return ++this.lines <= LINES_PER_WINDOW_MAX;
  }
}
