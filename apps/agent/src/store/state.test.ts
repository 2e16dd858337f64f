import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { newRecord } from '../core/run-record.js';
import { desiredEntry } from '../testing/desired-entry.js';
import { Counter } from './counter.js';
import { lockFolder } from './lock.js';
import { RunStore } from './runs.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-state-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('counter', () => {
  it('rises across restarts, above what others remember, and past a torn file', () => {
    const path = join(folder, 'counter.json');
    expect([new Counter(path).next(), new Counter(path).next()]).toEqual([1, 2]);
    expect(new Counter(path).next(10)).toBe(11);
    writeFileSync(path, '{"val');
    // The copy before says 2; whoever holds a newer number brings it along.
    expect(new Counter(path).next(11)).toBe(12);
  });
});

describe('run store', () => {
  const entry = desiredEntry('raaaaaaaa', { params: { min_us: 1, all: true, interface: 'lo' } });

  it('reads back what it wrote, and falls back to the copy before', () => {
    const record = newRecord(entry, 'k1');
    const store = new RunStore(folder);
    store.save(record);
    store.save({ ...record, revision: 2 });
    expect(new RunStore(folder).load()).toEqual({ records: [{ ...record, revision: 2 }], unreadable: [] });
    const path = join(folder, 'runs', 'raaaaaaaa.json');
    writeFileSync(path, readFileSync(path).subarray(0, 40));
    expect(new RunStore(folder).load().records).toEqual([record]);
    store.remove(entry.run);
    expect(new RunStore(folder).load()).toEqual({ records: [], unreadable: [] });
  });

  it('names what it cannot read', () => {
    const store = new RunStore(folder);
    writeFileSync(join(folder, 'runs', 'rbbbbbbbb.json'), '{}');
    writeFileSync(
      join(folder, 'runs', 'raaaaaaaa.json'),
      JSON.stringify(newRecord({ ...entry, run: 'rcccccccc' }, '')),
    );
    expect(store.load()).toEqual({ records: [], unreadable: ['raaaaaaaa', 'rbbbbbbbb'] });
  });
});

describe('lock', () => {
  const path = (): string => join(folder, 'agent.lock');

  it('lets one agent in at a time', () => {
    const unlock = lockFolder(path());
    expect(() => lockFolder(path())).toThrow(expect.objectContaining({ code: 'STATE_IN_USE' }));
    unlock();
    lockFolder(path())();
  });

  it.each(['', '1 99', `${2 ** 22 + 1} 5`])('takes over from an agent that is gone: %j', (content) => {
    writeFileSync(path(), content);
    lockFolder(path())();
  });
});
