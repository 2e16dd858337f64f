#!/usr/bin/env node
import { CommanderError } from 'commander';
import { errorView, exitCodeOf, StrictResult } from './exit-code.js';
import { safeText } from './output/terminal-text.js';
import { processContext } from './process-context.js';
import { createProgram } from './program.js';

// `bpfleet devices list | head` closes the pipe: that is no error. A tail has a run to stop first, as at Ctrl-C.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' && process.listenerCount('SIGINT') > 0) process.emit('SIGINT');
  else process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const context = processContext();
try {
  await createProgram({ context }).parseAsync(process.argv);
} catch (error) {
  process.exitCode = exitCodeOf(error);
  if (process.exitCode !== 0) report(error);
}

function report(error: unknown): void {
  // The result was printed: with --json a second value would follow it.
  if (error instanceof StrictResult) return context.err(`bpfleet: ${safeText(error.message)}\n`);
  const view = errorView(error);
  if (process.argv.includes('--json')) context.out(`${JSON.stringify({ error: view })}\n`);
  // commander has said it already, with the usage.
  if (!(error instanceof CommanderError)) context.err(`bpfleet: ${safeText(view.message)} [${safeText(view.code)}]\n`);
}
