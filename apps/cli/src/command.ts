import type { Command } from 'commander';
import type { Invocation } from './connection.js';
import type { CommandContext } from './context.js';
import { Printer } from './output/printer.js';

/** What `program.ts` gives to each verb's file, which adds its command to the noun's. */
export interface CommandHost {
  readonly context: CommandContext;
}

/** The printer and the world for one run of a command. */
export function invocationOf(command: Command, { context }: CommandHost): Invocation {
  const { json = false } = command.optsWithGlobals<{ json?: boolean }>();
  return { context, printer: new Printer(context, json) };
}
