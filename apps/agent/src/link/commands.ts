import type { Command, CommandResult, RunError } from '@bpfleet/wire';

export interface CommandTargets {
  sync(): void;
  resend(): void;
  /** Why not; else the answer comes as a chunk. */
  giveBtf(asked: Command['blob']): RunError | undefined;
}

/** Does what a command asks for, and says how it went: undefined when the answer is something else than a result. */
export function obey(command: Command, nowMs: number, targets: CommandTargets): CommandResult | undefined {
  if (nowMs > Date.parse(command.expiresAt)) {
    return refused({ code: 'COMMAND_EXPIRED', message: 'the command came too late' });
  }
  switch (command.kind) {
    case 'sync':
      targets.sync();
      return { v: 1, ok: true };
    case 'resend':
      targets.resend();
      return { v: 1, ok: true };
    case 'btf': {
      const error = targets.giveBtf(command.blob);
      return error && refused(error);
    }
  }
}

function refused(error: RunError): CommandResult {
  return { v: 1, ok: false, error };
}
