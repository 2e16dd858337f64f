import type { EventEmitter } from 'node:events';
import { errorFacts, type Log } from '../log.js';

const STACK_MAX = 4096;

/**
 * An error that nobody has caught ends the agent, since nobody knows what it left half done: with one line that says what
 * it was, and with every pin in its place, so that the next agent adopts what runs.
 */
export function endOnUncaught(source: Pick<EventEmitter, 'on'>, log: Log, exit: (code: number) => void): void {
  let ended = false;
  const end = (kind: string) => (error: unknown) => {
    if (ended) return;
    ended = true;
    const { stack } = (error ?? {}) as { stack?: unknown };
    const where = typeof stack === 'string' ? { stack: stack.slice(0, STACK_MAX) } : {};
    log('error', 'agent.crashed', { kind, ...errorFacts(error ?? 'nothing'), ...where });
    exit(1);
  };
  source.on('uncaughtException', end('exception'));
  source.on('unhandledRejection', end('rejection'));
}
