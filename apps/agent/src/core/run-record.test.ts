import { describe, expect, it } from '@jest/globals';
import type { DesiredEntry } from '@bpfleet/trust';
import { fail, newRecord } from './run-record.js';

const now = { bootId: 'b', seconds: 1_000 };

describe('fail', () => {
  const waits = (code: string, attempts: number, random: number): number => {
    const record = { ...newRecord({ run: 'r' } as DesiredEntry, 'k'), attempts };
    return (fail(record, { code, message: '' }, { now, random, again: true }).retryAt?.seconds ?? 0) - now.seconds;
  };

  it('is tried again in seconds first, and within the hour for good', () => {
    expect(waits('ATTACH_FAILED', 0, 0.99)).toBe(5);
    expect(waits('ATTACH_FAILED', 30, 0.999)).toBeLessThan(3_600);
  });

  it('is tried again seldom for a hook that is not there, which a module may bring', () => {
    expect(waits('HOOK_MISSING', 0, 0.99)).toBe(600);
    expect(waits('HOOK_MISSING', 30, 0)).toBe(600);
    expect(waits('HOOK_MISSING', 30, 0.999)).toBeGreaterThan(86_000);
  });
});
