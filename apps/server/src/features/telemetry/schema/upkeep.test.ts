import { expect, it } from '@jest/globals';
import { retentionTime } from './upkeep.js';

const at = (text: string) => new Date(`${text}:00.000Z`);
const NOON = at('2026-11-22T12:00');

it('follows the clocks from hour to hour', () => {
  expect(retentionTime(at('2026-11-22T11:00'), NOON, NOON)).toEqual({ at: NOON, halted: false, problem: undefined });
  expect(retentionTime(undefined, NOON, NOON).at).toEqual(NOON);
});

it('goes back with clocks that are set back', () => {
  expect(retentionTime(at('2027-11-22T12:00'), NOON, NOON)).toEqual({ at: NOON, halted: false, problem: undefined });
});

it('takes a day at a time from clocks that went ahead', () => {
  const time = retentionTime(NOON, at('2027-11-22T12:00'), at('2027-11-22T12:00'));
  expect(time).toMatchObject({ at: at('2026-11-23T12:00'), halted: false });
  expect(time.problem).toContain('the clocks say 2027-11-22 12:00');
  expect(time.problem).toContain('as if it were 2026-11-23 12:00');
});

it('stands still when the clocks contradict one another, and believes neither', () => {
  const ahead = retentionTime(NOON, at('2027-11-22T12:00'), at('2026-11-22T13:00'));
  expect(ahead).toMatchObject({ at: NOON, halted: true });
  expect(ahead.problem).toContain('2027-11-22 12:00 for this server and 2026-11-22 13:00 for PostgreSQL');
  expect(retentionTime(undefined, at('2020-01-01T00:00'), NOON).at).toEqual(at('2020-01-01T00:00'));
});
