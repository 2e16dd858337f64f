import { describe, expect, it } from '@jest/globals';
import { desiredEntry } from '../testing/desired-entry.js';
import { afterBoot, SOAK_SECONDS, soaked } from './crash-guard.js';
import { advance, newRecord, type RunRecord } from './run-record.js';

const attached = (bootId: string, record = newRecord(desiredEntry('raaaaaaaa'), 'k1')): RunRecord =>
  advance(record, 'ATTACHED', { inKernel: { bootId, programs: [], maps: [], links: [] } });
const at = (seconds: number, bootId = 'one') => ({ bootId, seconds });

describe('the crash guard', () => {
  it('suspects a run with which the device went down twice in a row', () => {
    const once = afterBoot(attached('one'), 'two', undefined);
    expect(once).toMatchObject({ state: 'ATTACHED', uncleanBoots: 1 });
    const twice = afterBoot(attached('two', once), 'three', undefined);
    expect(twice).toMatchObject({
      state: 'SUSPECT_CRASH',
      inKernel: null,
      error: { code: 'SUSPECT_CRASH', message: expect.stringContaining('went down 2 times within 10 minutes') },
    });
    expect(twice.revision).toBeGreaterThan(once.revision);
  });

  it('needs one time where something tells of a crash, but not of a run that has soaked', () => {
    const evidence = 'the watchdog had to reset it';
    expect(afterBoot(attached('one'), 'two', evidence)).toMatchObject({
      state: 'SUSPECT_CRASH',
      error: { message: expect.stringContaining(evidence) },
    });
    const trusted = { ...attached('one'), soaked: true };
    expect(afterBoot(trusted, 'two', evidence)).toBe(trusted);
  });

  it('counts neither a new agent in the same boot nor a boot after a shutdown', () => {
    for (const record of [attached('one'), { ...attached('none'), inKernel: null }])
      expect(afterBoot(record, 'one', undefined)).toBe(record);
  });

  it('trusts a run that has soaked, from then on', () => {
    const once = afterBoot(attached('none'), 'one', undefined);
    expect(soaked(once, at(100), at(99 + SOAK_SECONDS))).toBeUndefined();
    expect(soaked(once, at(100, 'none'), at(100 + SOAK_SECONDS))).toBeUndefined();
    const trusted = soaked(once, at(100), at(100 + SOAK_SECONDS));
    expect(trusted).toMatchObject({ soaked: true, uncleanBoots: 0 });
    expect(soaked(trusted as RunRecord, at(100), at(9_000))).toBeUndefined();
    expect(afterBoot(trusted as RunRecord, 'two', undefined)).toBe(trusted);
  });
});
