import { describe, expect, it } from '@jest/globals';
import type { DesiredEntry } from '@bpfleet/trust';
import { desiredEntry as entry } from '../testing/desired-entry.js';
import type { BootPoint } from './lease.js';
import { reconcile, type Action, type ActualRun, type Limits } from './reconcile.js';

const now: BootPoint = { bootId: 'boot', seconds: 1_000 };
const limits: Limits = { now, kernel: 'k1', leaseElapsedSeconds: 0, held: false };

function actual(of: DesiredEntry, change: Partial<ActualRun> = {}): ActualRun {
  return {
    entry: of,
    state: 'ATTACHED',
    busy: undefined,
    live: true,
    retryAt: undefined,
    budgetRefused: false,
    kernel: 'k1',
    firstAttach: now,
    ...change,
  };
}

function decide(desired: DesiredEntry[], have: ActualRun[], change: Partial<Limits> = {}): Action[] {
  return reconcile(desired, new Map(have.map((run) => [run.entry.run, run])), { ...limits, ...change });
}

describe('reconcile', () => {
  const a = entry('raaaaaaaa');
  const down = { live: false, state: 'FAILED' as const };

  it('starts what is missing, stops what is not wanted, stops first', () => {
    const b = entry('rbbbbbbbb');
    expect(decide([a], [actual(b)])).toEqual([
      { kind: 'stop', run: b.run, reason: 'REMOVED' },
      { kind: 'start', entry: a },
    ]);
  });

  it('has nothing to do for what runs', () => {
    expect(decide([a], [actual(a)])).toEqual([]);
  });

  it.each(['ACCEPTED', 'FETCHING', 'VERIFYING', 'LOADED', 'ATTACHED'] as const)(
    'starts again what a crash left at %s with nothing in the kernel',
    (state) => {
      expect(decide([a], [actual(a, { live: false, state })])).toEqual([{ kind: 'start', entry: a }]);
    },
  );

  it('begins anew with another release or other parameters, and not for the order of parameters', () => {
    const two = entry(a.run, { params: { x: 1, y: 2 } });
    expect(decide([entry(a.run, { params: { y: 2, x: 1 } })], [actual(two)])).toEqual([]);
    for (const change of [{ release: 'b'.repeat(64) }, { params: { min_us: 2 } }]) {
      expect(decide([entry(a.run, change)], [actual(a)])).toEqual([{ kind: 'start', entry: entry(a.run, change) }]);
    }
  });

  it('takes new terms without touching the kernel', () => {
    const cheaper = entry(a.run, { budget: { ...a.budget, cpuPercent: 0.5 } });
    expect(decide([cheaper], [actual(a)])).toEqual([{ kind: 'update', entry: cheaper }]);
  });

  it('tries a failure again when it is due, in this boot or any other', () => {
    const due = actual(a, { ...down, retryAt: { bootId: 'boot', seconds: 1_000 } });
    const later = actual(a, { ...down, retryAt: { bootId: 'boot', seconds: 1_001 } });
    const otherBoot = actual(a, { ...down, retryAt: { bootId: 'old', seconds: 9_999 } });
    const never = actual(a, down);
    expect([due, later, otherBoot, never].map((have) => decide([a], [have]).length)).toEqual([1, 0, 1, 0]);
  });

  it('tries a refusal again on another kernel only', () => {
    const refused = actual(a, { live: false, state: 'REJECTED' });
    expect(decide([a], [refused])).toEqual([]);
    expect(decide([a], [refused], { kernel: 'k2' })).toEqual([{ kind: 'start', entry: a }]);
  });

  it('gives what was refused for its budget a chance with another budget, and a verifier none', () => {
    const roomy = entry(a.run, { budget: { ...a.budget, mapBytes: 9 } });
    const refused = { live: false, state: 'REJECTED' as const };
    expect(decide([roomy], [actual(a, { ...refused, budgetRefused: true })])).toEqual([
      { kind: 'start', entry: roomy },
    ]);
    expect(decide([roomy], [actual(a, refused)])).toEqual([{ kind: 'update', entry: roomy }]);
  });

  it('ends a debug run at its time, also when the machine was restarted meanwhile, and never starts it again', () => {
    const debug = entry(a.run, { endsAfterSeconds: 60 });
    const since = (seconds: number, bootId = 'boot') => actual(debug, { firstAttach: { bootId, seconds } });
    expect(decide([debug], [since(941)])).toEqual([]);
    expect(decide([debug], [since(940)])).toEqual([{ kind: 'stop', run: a.run, reason: 'ENDED' }]);
    expect(decide([debug], [since(999, 'old')])).toEqual([{ kind: 'stop', run: a.run, reason: 'ENDED' }]);
    expect(
      decide([debug], [actual(debug, { live: false, state: 'ENDED', firstAttach: since(0).firstAttach })]),
    ).toEqual([]);
  });

  it('takes off what has outlived its lease, and puts it back with the next word', () => {
    expect(decide([a], [actual(a)], { leaseElapsedSeconds: 601 })).toEqual([
      { kind: 'stop', run: a.run, reason: 'LEASE_LAPSED' },
    ]);
    const lapsed = actual(a, { ...down, retryAt: now });
    expect(decide([a], [lapsed], { leaseElapsedSeconds: 601 })).toEqual([]);
    expect(decide([a], [lapsed])).toEqual([{ kind: 'start', entry: a }]);
  });

  it('starts nothing on a device that is held, and still takes off what nobody wants', () => {
    const failed = actual(a, { ...down, retryAt: now });
    expect(decide([a], [], { held: true })).toEqual([]);
    expect(decide([a], [failed], { held: true })).toEqual([]);
    expect(decide([], [actual(a)], { held: true })).toEqual([{ kind: 'stop', run: a.run, reason: 'REMOVED' }]);
  });

  it('cuts a start short and leaves a stop alone', () => {
    expect(decide([], [actual(a, { live: false, busy: 'start', state: 'FETCHING' })])).toHaveLength(1);
    expect(decide([a], [actual(a, { live: false, busy: 'start', state: 'FETCHING' })])).toEqual([]);
    expect(decide([], [actual(a, { busy: 'stop' })])).toEqual([]);
    expect(decide([a], [actual(a, { busy: 'stop' })])).toEqual([]);
  });
});

/** Mulberry32: a seed gives the same story every time. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What carrying an action out does when all goes well. */
function carryOut(have: Map<string, ActualRun>, action: Action): void {
  if (action.kind === 'start') have.set(action.entry.run, actual(action.entry));
  else if (action.kind === 'update') {
    have.set(action.entry.run, { ...(have.get(action.entry.run) as ActualRun), entry: action.entry });
  } else {
    const run = have.get(action.run) as ActualRun;
    const state = action.reason === 'LEASE_LAPSED' ? 'FAILED' : action.reason;
    have.set(action.run, { ...run, live: false, state, retryAt: now });
  }
}

describe('reconcile, over random fleets of runs', () => {
  const states = ['ACCEPTED', 'FETCHING', 'LOADED', 'ATTACHED', 'REJECTED', 'FAILED', 'ENDED', 'REMOVED'] as const;

  it.each(Array.from({ length: 50 }, (_, seed) => seed))(
    'converges in two rounds and stays there (seed %i)',
    (seed) => {
      const random = randomOf(seed);
      const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
      const some = (run: number): DesiredEntry =>
        entry(`r${String(run).padStart(8, '0')}`, {
          release: pick(['a', 'b']).repeat(64),
          params: pick<Record<string, number>>([{}, { x: 1 }, { x: 2 }]),
          leaseSeconds: pick([60, 600]),
        });
      const desired = Array.from({ length: 12 }, (_, run) => some(run)).filter(() => random() < 0.6);
      const have = new Map<string, ActualRun>();
      for (let run = 0; run < 12; run++) {
        const state = pick(states);
        const live = state === 'ATTACHED' && random() < 0.8;
        if (random() < 0.6) have.set(some(run).run, actual(some(run), { state, live }));
      }
      const here = { ...limits, leaseElapsedSeconds: pick([0, 100, 1_000]) };
      const first = reconcile(desired, have, here);
      expect(reconcile(desired, have, here)).toEqual(first);
      for (const action of first) carryOut(have, action);
      // What was stopped in the first round may take its new terms in the second.
      for (const action of reconcile(desired, have, here)) carryOut(have, action);
      expect(reconcile(desired, have, here)).toEqual([]);
      for (const [run, { live }] of have) {
        if (live) expect(desired.map((one) => one.run)).toContain(run);
      }
      // Each run at most once: nothing is ever attached twice.
      expect(new Set(first.map((action) => (action.kind === 'stop' ? action.run : action.entry.run))).size).toBe(
        first.length,
      );
    },
  );
});
