import { describe, expect, it } from '@jest/globals';
import { runStates } from '@bpfleet/api';
import { isOver, runTone } from './run-tone.js';

describe('runs', () => {
  it('has a tone for every state of the contract', () => {
    expect(runStates.map(runTone)).not.toContain(undefined);
  });

  it('is over in a final state or when it has an end, and not while its device is away', () => {
    expect(isOver({ state: 'ENDED', endedAt: null })).toBe(true);
    expect(isOver({ state: 'REJECTED', endedAt: null })).toBe(true);
    expect(isOver({ state: 'ATTACHED', endedAt: '2026-05-01T10:00:00Z' })).toBe(true);
    expect(isOver({ state: 'ATTACHED', endedAt: null })).toBe(false);
    expect(isOver({ state: 'DEFERRED', endedAt: null })).toBe(false);
  });
});
