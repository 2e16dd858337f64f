import { describe, expect, it } from '@jest/globals';
import { runStates } from '@bpfleet/api';
import { reportedRunStates } from '@bpfleet/wire';
import {
  applyReport,
  finalStates,
  isAttached,
  isFinal,
  isLateRefusal,
  keepsError,
  mayDecide,
  runStateOf,
} from './run-machine.js';

describe('run machine', () => {
  it('follows a run from its offer to the kernel', () => {
    const path = ['ACCEPTED', 'FETCHING', 'VERIFYING', 'LOADED', 'ATTACHED'] as const;
    let state = runStateOf('OFFERED');
    for (const reported of path) {
      expect(applyReport(state, reported)).toEqual({ kind: 'move', to: reported });
      state = reported;
    }
    expect(isAttached(state)).toBe(true);
  });

  it('accepts that reports in between were lost', () => {
    expect(applyReport('PENDING', 'ATTACHED')).toEqual({ kind: 'move', to: 'ATTACHED' });
    expect(applyReport('DEFERRED', 'REJECTED')).toEqual({ kind: 'move', to: 'REJECTED' });
  });

  it('accepts that a rebooted device attaches again, and that a failed run is tried again', () => {
    expect(applyReport('ATTACHED', 'VERIFYING')).toEqual({ kind: 'move', to: 'VERIFYING' });
    expect(applyReport('FAILED', 'ATTACHED')).toEqual({ kind: 'move', to: 'ATTACHED' });
  });

  it('keeps what the server decided: no report wakes an ended run', () => {
    for (const state of ['ENDED', 'REMOVED', 'SUPERSEDED', 'ROLLED_BACK', 'TIMED_OUT'] as const) {
      for (const reported of reportedRunStates.filter((other) => other !== state)) {
        expect(applyReport(state, reported)).toEqual({ kind: 'refuse' });
      }
    }
  });

  it('does not retry what was rejected or is suspected of a crash', () => {
    expect(applyReport('REJECTED', 'ATTACHED')).toEqual({ kind: 'refuse' });
    expect(applyReport('REJECTED', 'REMOVED')).toEqual({ kind: 'stay' });
    expect(applyReport('SUSPECT_CRASH', 'ACCEPTED')).toEqual({ kind: 'refuse' });
    expect(applyReport('SUSPECT_CRASH', 'REMOVED')).toEqual({ kind: 'move', to: 'REMOVED' });
  });

  it('does not let a repeated ATTACHED undo what the soak found', () => {
    expect(applyReport('SOAKED', 'ATTACHED')).toEqual({ kind: 'stay' });
    expect(applyReport('SUCCEEDED', 'FAILED')).toEqual({ kind: 'move', to: 'FAILED' });
  });

  it('is the same report twice: nothing happens', () => {
    for (const state of reportedRunStates) expect(applyReport(state, state)).toEqual({ kind: 'stay' });
  });

  it('never decides anything about a run that is over', () => {
    for (const state of finalStates) {
      for (const to of runStates) expect(mayDecide(state, to)).toBe(false);
    }
  });

  it('ends what was attached, and calls a time-out what never was', () => {
    expect(mayDecide('ATTACHED', 'ENDED')).toBe(true);
    expect(mayDecide('OFFERED', 'ENDED')).toBe(false);
    expect(mayDecide('OFFERED', 'TIMED_OUT')).toBe(true);
    expect(mayDecide('ATTACHED', 'TIMED_OUT')).toBe(false);
  });

  it('refuses what it learns to be garbage, also where it is attached', () => {
    expect(runStates.filter((state) => mayDecide(state, 'REJECTED'))).toEqual(
      runStates.filter((state) => !isFinal(state)),
    );
  });

  it('keeps the word of a device for a run that is over, and of a failure that is tried again none', () => {
    expect(isLateRefusal('SUPERSEDED', 'REJECTED')).toBe(true);
    expect(isLateRefusal('REMOVED', 'FAILED')).toBe(true);
    expect(isLateRefusal('REMOVED', 'ATTACHED')).toBe(false);
    expect(isLateRefusal('FAILED', 'FAILED')).toBe(false);
    expect(runStates.filter((state) => keepsError(state))).toEqual(finalStates.filter((state) => state !== 'FAILED'));
  });

  it('offers a pending run, or one that waited for its device', () => {
    expect(runStates.filter((state) => mayDecide(state, 'OFFERED'))).toEqual(['PENDING', 'DEFERRED']);
  });

  it('has an answer for every pair, and refuses a state it does not know', () => {
    for (const state of runStates) {
      for (const reported of reportedRunStates) expect(applyReport(state, reported).kind).toMatch(/move|stay|refuse/);
      expect(typeof isFinal(state)).toBe('boolean');
    }
    expect(() => runStateOf('HAPPY')).toThrow('HAPPY');
  });
});
