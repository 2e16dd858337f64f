import { describe, expect, it } from '@jest/globals';
import { columnsFor, columnsToAdd, eventTableName, eventViewName } from './event-table-plan.js';

describe('names', () => {
  it('say probe and event', () => {
    expect(eventTableName('trace_exec', 'exec')).toBe('ev_trace_exec__exec');
    expect(eventViewName('trace_exec', 'exec', new Set())).toBe('trace_exec_exec');
  });

  it('stay apart and within 63 bytes, a partition’s suffix included', () => {
    const long = 'a'.repeat(40);
    const names = [eventTableName(long, `${long.slice(1)}b`), eventTableName(long, `${long.slice(1)}c`)];
    expect(new Set(names).size).toBe(2);
    for (const name of names) expect(`${name}_p20261116`.length).toBeLessThanOrEqual(63);
  });

  it('of views step aside for what is there', () => {
    const taken = new Set(['event_table', 'a_b_c']);
    expect(eventViewName('event', 'table', taken)).toMatch(/^event_table_[0-9a-f]{8}$/);
    expect(eventViewName('a', 'b_c', taken)).not.toBe(eventViewName('a_b', 'c', taken));
  });
});

describe('columns', () => {
  const pid = { name: 'pid', pgType: 'int8' };

  it('are added once, and a changed type gets a column of its own', () => {
    const first = columnsToAdd([], [pid]);
    expect(first.map(({ columnName }) => columnName)).toEqual(['pid']);
    expect(columnsToAdd(first, [pid])).toEqual([]);
    const changed = { name: 'pid', pgType: 'numeric' };
    const second = [...first, ...columnsToAdd(first, [changed])];
    expect(second.map(({ columnName, pgType }) => `${columnName} ${pgType}`)).toEqual(['pid int8', 'pid__2 numeric']);
    expect(columnsFor(second, [changed])?.map(({ columnName }) => columnName)).toEqual(['pid__2']);
    expect(columnsFor(second, [pid])?.map(({ columnName }) => columnName)).toEqual(['pid']);
    expect(columnsFor(first, [changed])).toBeUndefined();
  });

  it('never take a name that the table or PostgreSQL needs', () => {
    const fields = ['ts', 'device', 'ctid', 'ts__2'].map((name) => ({ name, pgType: 'text' }));
    const names = columnsToAdd([], fields).map(({ columnName }) => columnName);
    expect(names).toEqual(['ts__2', 'device__2', 'ctid__2', 'ts__2__2']);
  });

  it('are 128 at most', () => {
    const fields = Array.from({ length: 125 }, (_, index) => ({ name: `f${index}`, pgType: 'int4' }));
    expect(() => columnsToAdd([], fields)).toThrow(expect.objectContaining({ code: 'TELEMETRY_LIMIT' }));
    expect(columnsToAdd([], fields.slice(1))).toHaveLength(124);
  });
});
