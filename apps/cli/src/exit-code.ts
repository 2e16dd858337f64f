import { ApiError } from '@bpfleet/api';
import { CommanderError } from 'commander';

export const exitCodes = { ok: 0, failure: 1, refused: 2, notLoggedIn: 3, unreachable: 4 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A failure that this program found itself; `exitCode` says of which kind. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    readonly code: string,
    message: string,
    readonly exitCode: ExitCode = exitCodes.refused,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/** The command has given its result, and with `--strict` its exit code says something of it too. */
export class StrictResult extends Error {
  override readonly name = 'StrictResult';
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof StrictResult) return exitCodes.refused;
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.refused;
  if (!(error instanceof ApiError)) return exitCodes.failure;
  if (error.code === 'API_UNREACHABLE') return exitCodes.unreachable;
  if (error.status === 401) return exitCodes.notLoggedIn;
  return error.status >= 400 && error.status < 500 ? exitCodes.refused : exitCodes.failure;
}

export interface ErrorView {
  code: string;
  message: string;
  details?: Record<string, unknown>;
}

export function errorView(error: unknown): ErrorView {
  if (error instanceof CliError || error instanceof ApiError) {
    const { code, message, details } = error;
    return Object.keys(details).length > 0 ? { code, message, details } : { code, message };
  }
  if (error instanceof CommanderError) return { code: 'USAGE', message: error.message.replace(/^error: /, '') };
  return { code: 'CLI_FAILED', message: error instanceof Error ? error.message : String(error) };
}
