import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { jsonLog } from '../log.js';
import { endOnUncaught } from './crash.js';

describe('an error that nobody caught', () => {
  it.each([
    ['uncaughtException', Object.assign(new Error('no\nroom'), { code: 'ENOSPC' }), 'ENOSPC', 'exception'],
    ['unhandledRejection', new Error('what'), 'UNEXPECTED', 'rejection'],
    ['unhandledRejection', undefined, 'UNEXPECTED', 'rejection'],
  ])('ends the agent once, with one line: %s %s', (event, error, code, kind) => {
    const source = new EventEmitter();
    const lines: string[] = [];
    const exits: number[] = [];
    endOnUncaught(
      source,
      jsonLog((line) => lines.push(line)),
      (status) => exits.push(status),
    );
    source.emit(event, error);
    source.emit('uncaughtException', new Error('a second one on the way out'));
    expect([exits, lines.length]).toEqual([[1], 1]);
    expect(JSON.parse(lines[0] as string)).toMatchObject({ level: 'error', event: 'agent.crashed', code, kind });
  });
});
