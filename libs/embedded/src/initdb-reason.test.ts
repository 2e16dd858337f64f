import { describe, expect, it } from '@jest/globals';
import { reasonIn } from './postgres-cluster.js';

describe('reasonIn', () => {
  it('finds why initdb failed in front of its tidying up', () => {
    const reason = 'FATAL:  could not write to file "pg_wal/xlogtemp.1": No space left on device';
    const said = ['child process exited with exit code 1', 'initdb: removing data directory "/d/cluster"'];
    expect(reasonIn([`2026-01-01 00:00:00.000 UTC [1] ${reason}`, ...said].join('\n'))).toContain(reason);
    expect(reasonIn('initdb: error: could not create directory "/d": Permission denied\n')).toMatch(
      /Permission denied$/,
    );
  });

  it('takes the last words where nothing looks like a reason', () => {
    expect(reasonIn('one\ntwo\n\n')).toBe('two');
    expect(reasonIn('')).toBe('initdb gave no reason');
  });
});
