import type { LoggerService } from '@nestjs/common';

/** Standard output carries the one line that says "ready"; everything else a server says goes to standard error, one JSON object a line. */
export class StderrLogger implements LoggerService {
  log(message: unknown, ...rest: unknown[]): void {
    write('info', message, rest.at(-1));
  }
  warn(message: unknown, ...rest: unknown[]): void {
    write('warn', message, rest.at(-1));
  }
  error(message: unknown, ...rest: unknown[]): void {
    write('error', message, rest.at(-1));
  }
  fatal(message: unknown, ...rest: unknown[]): void {
    write('fatal', message, rest.at(-1));
  }
}

function write(level: string, message: unknown, context: unknown): void {
  const text = message instanceof Error ? (message.stack ?? message.message) : String(message);
  process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), level, context, message: text })}\n`);
}
