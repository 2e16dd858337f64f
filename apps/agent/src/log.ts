export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type Log = (level: LogLevel, event: string, facts?: Readonly<Record<string, unknown>>) => void;

const levels: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** One JSON object a line on stderr: what a server or a kernel says goes in as a value and can never forge a line. */
export function jsonLog(write: (line: string) => void, least: LogLevel = 'info'): Log {
  return (level, event, facts = {}) => {
    if (levels[level] < levels[least]) return;
    write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...facts })}\n`);
  };
}

/** Code and message of anything that was thrown. */
export function errorFacts(error: unknown): { code: string; message: string } {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return {
    code: typeof code === 'string' ? code.slice(0, 64) : 'UNEXPECTED',
    message: typeof message === 'string' ? message.slice(0, 2048) : String(error).slice(0, 2048),
  };
}
