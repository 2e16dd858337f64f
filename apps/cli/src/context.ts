import type { CommandIo } from './output/printer.js';

/** What a command may touch of the world around it; the process gives the real one. */
export interface CommandContext extends CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDir: string;
  readonly hostName: string;
  readonly fetch: typeof fetch;
  now(): number;
  /** Resolves after the time, or at once when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Calls back at each Ctrl-C or request to end, until the returned function is called. */
  onInterrupt(listener: () => void): () => void;
  /** All of standard input. */
  readInput(bytesMax: number): Promise<string>;
  /** Asks a person at the terminal; undefined when there is no terminal. */
  ask(question: string, options: { hidden: boolean }): Promise<string | undefined>;
}
