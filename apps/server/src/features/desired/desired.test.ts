import { describe, expect, it } from '@jest/globals';
import { generateSigningKey, signDocument } from '@bpfleet/trust';
import { parseSelector } from '../assignments/selector/index.js';
import {
  desired,
  type AssignmentIntent,
  type DebugIntent,
  type DesiredDevice,
  type DesiredRelease,
} from './desired.js';
import {
  ADDENDUM_BYTES,
  ASSIGNMENT_ENTRIES_MAX,
  ASSIGNMENT_LEASE_SECONDS,
  DEBUG_ENTRIES_MAX,
  DEBUG_LEASE_SECONDS,
} from './limits.js';
import { NO_ROOM, planRuns, type DecidedOffer, type WantedRun } from './plan-runs.js';

const now = new Date('2026-03-01T12:00:00Z');
const at = (minutes: number) => new Date(now.getTime() + minutes * 60_000);
const device: DesiredDevice = {
  id: 'dtest00000001',
  name: 'one',
  labels: { site: 'oslo' },
  facts: null,
  status: 'active',
};

function release(probe: string, version = '1.0.0'): DesiredRelease {
  const budget = { cpuPercent: 1, mapBytes: 4096, eventsPerSecond: 100 };
  return { id: `${probe}@${version}`, digest: 'a'.repeat(64), probe, version, budget };
}
function assignment(id: string, probe: string, given: Partial<AssignmentIntent> = {}): AssignmentIntent {
  return { id, release: release(probe), selector: parseSelector('all'), params: {}, createdAt: now, ...given };
}
function debug(run: string, given: Partial<DebugIntent> = {}): DebugIntent {
  return { run, release: release('trace_exec'), params: {}, createdAt: now, endsAt: at(10), over: false, ...given };
}
const decide = (assignments: AssignmentIntent[], runs: DebugIntent[] = [], given = device, time = now) => [
  ...desired(given, { assignments, debug: runs }, time).items,
];

describe('desired', () => {
  it('has one entry per probe: the newest assignment that selects the device', () => {
    const older = assignment('older', 'trace_exec', { createdAt: at(-10) });
    const newer = assignment('newer', 'trace_exec', { createdAt: at(-5), params: { uid: 0 } });
    const elsewhere = assignment('elsewhere', 'trace_exec', {
      createdAt: at(0),
      selector: parseSelector('site=bergen'),
    });
    const items = decide([newer, elsewhere, older]);
    expect(items).toMatchObject([{ intent: 'newer', params: { uid: 0 }, leaseSeconds: ASSIGNMENT_LEASE_SECONDS }]);
  });

  it('decides alike whatever the order of the rows, ties included', () => {
    const a = assignment('a', 'trace_exec');
    const b = assignment('b', 'trace_exec');
    const c = assignment('c', 'count_packets');
    expect(decide([a, b, c])).toEqual(decide([c, b, a]));
    expect(decide([a, b, c]).map(({ intent }) => intent)).toEqual(['c', 'b']);
  });

  it('keeps debug in a slot of its own, beside an assignment of the same probe', () => {
    const items = decide([assignment('a', 'trace_exec')], [debug('rdebug000001')]);
    expect(items.map(({ kind }) => kind)).toEqual(['assignment', 'debug']);
    expect(items[1]).toMatchObject({ run: 'rdebug000001', leaseSeconds: DEBUG_LEASE_SECONDS, endsAfterSeconds: 600 });
  });

  it('ends debug by time, and drops what is over', () => {
    expect(decide([], [debug('rdebug000001')], device, at(9))).toHaveLength(1);
    expect(decide([], [debug('rdebug000001')], device, at(10))).toEqual([]);
    expect(decide([], [debug('rdebug000001', { over: true })])).toEqual([]);
  });

  it('says the same for as long as a debug run lasts, so that no generation is written for the passing of time', () => {
    expect(decide([], [debug('rdebug000001')], device, at(9))).toEqual(
      decide([], [debug('rdebug000001')], device, now),
    );
  });

  it('wants nothing of a device that is revoked or out of service', () => {
    for (const status of ['revoked', 'decommissioned'] as const) {
      expect(decide([assignment('a', 'trace_exec')], [debug('rdebug000001')], { ...device, status })).toEqual([]);
    }
  });

  const numbered = (at: number) => String(at).padStart(6, '0');
  const many = (count: number, given: Partial<AssignmentIntent> = {}) =>
    Array.from({ length: count }, (_, i) =>
      assignment(`a${i}`, `probe_${numbered(count - i)}`, { createdAt: at(i - count), ...given }),
    );
  const debugs = (count: number) =>
    Array.from({ length: count }, (_, i) => debug(`rdebug${numbered(i)}`, { createdAt: at(i - count) }));

  it('is bounded, and says of what is left over what to do', () => {
    const { items, overflow } = desired(device, { assignments: many(100), debug: [] }, now);
    expect(items).toHaveLength(ASSIGNMENT_ENTRIES_MAX);
    expect(overflow).toHaveLength(100 - ASSIGNMENT_ENTRIES_MAX);
    expect(overflow[0]?.error).toMatchObject({
      code: 'DESIRED_FULL',
      message: expect.stringContaining('withdraw one'),
    });
    const debugging = desired(device, { assignments: [], debug: debugs(20) }, now);
    expect(debugging.items).toHaveLength(DEBUG_ENTRIES_MAX);
    expect(debugging.overflow.map(({ error }) => error.code)).toEqual(Array(12).fill('DEBUG_NO_ROOM'));
  });

  it('keeps what was there: a newer assignment finds no room, whatever its name', () => {
    const before = desired(device, { assignments: many(48), debug: [] }, now);
    const newcomer = assignment('newcomer', 'aaa_first', { createdAt: now });
    const after = desired(device, { assignments: [newcomer, ...many(48)], debug: [] }, now);
    expect(after.items).toEqual(before.items);
    expect(after.overflow).toMatchObject([{ item: { intent: 'newcomer' }, error: { code: 'DESIRED_FULL' } }]);
  });

  it('takes nothing from assignments for debug, which has what they leave', () => {
    const full = desired(device, { assignments: many(48), debug: [] }, now);
    const { items, overflow } = desired(device, { assignments: many(48), debug: debugs(8) }, now);
    expect(items.filter(({ kind }) => kind === 'assignment')).toEqual(full.items);
    expect(items.length).toBeGreaterThan(48);
    expect(overflow.length).toBe(56 - items.length);
    expect(overflow.every(({ item, error }) => item.kind === 'debug' && error.code === 'DEBUG_NO_ROOM')).toBe(true);
  });

  it('always fits into a document that can be signed', () => {
    const params = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`text_${i}`, 'ü'.repeat(100)]));
    const intents = { assignments: many(48, { params }), debug: debugs(8) };
    const decided = desired(device, intents, now, ADDENDUM_BYTES);
    expect(decided.items.length + decided.overflow.length).toBe(56);
    const items = decided.items.map((item) => {
      const addendum = 'a'.repeat(64);
      return { ...item, offer: { kind: 'tailored', basis: 'k', addendum, spare: false } as const };
    });
    let minted = 0;
    const { entries } = planRuns(items, [], now, () => `r${String(minted++).padStart(31, '0')}`);
    const document = { type: 'desired', device: device.id, generation: 2_000_000_000, entries: [...entries] } as const;
    expect(() => signDocument('desired', document as never, [generateSigningKey()])).not.toThrow();
  });
});

describe('runs of a desired state', () => {
  let minted = 0;
  const mint = () => `rminted${String(minted++).padStart(6, '0')}`;
  const wanted = (given: Partial<WantedRun> = {}): WantedRun => ({
    id: 'rkept0000001',
    kind: 'assignment',
    intent: 'a',
    releaseId: 'trace_exec@1.0.0',
    probe: 'trace_exec',
    params: {},
    state: 'ATTACHED',
    endsAt: null,
    basis: null,
    ...given,
  });
  const plan = (assignments: AssignmentIntent[], runs: WantedRun[], debugs: DebugIntent[] = [], time = now) =>
    planRuns(decide(assignments, debugs, device, time), runs, time, mint);

  it('keeps a run while release and parameters are the same, whoever asks', () => {
    const same = plan([assignment('a', 'trace_exec')], [wanted()]);
    expect(same).toMatchObject({ entries: [{ run: 'rkept0000001' }], create: [], adopt: [], retire: [] });
    const other = plan([assignment('b', 'trace_exec')], [wanted()]);
    expect(other).toMatchObject({ create: [], adopt: [{ id: 'rkept0000001', intent: 'b' }], retire: [] });
  });

  it('ignores the order in which parameters are stored', () => {
    const params = { b: 2, a: 1 };
    const kept = plan([assignment('a', 'trace_exec', { params })], [wanted({ params: { a: 1, b: 2 } })]);
    expect(kept.create).toEqual([]);
  });

  it('makes a new run when release or parameters change, and supersedes the old', () => {
    const changed = plan([assignment('b', 'trace_exec', { params: { uid: 1 } })], [wanted()]);
    expect(changed.create).toHaveLength(1);
    expect(changed.retire).toMatchObject([{ run: { id: 'rkept0000001' }, to: 'SUPERSEDED' }]);
  });

  it('removes what nobody asks for', () => {
    expect(plan([], [wanted()]).retire).toMatchObject([{ to: 'REMOVED' }]);
  });

  it('does not offer a refused run again under another name, except to a new intent', () => {
    const rejected = wanted({ state: 'REJECTED' });
    expect(plan([assignment('a', 'trace_exec')], [rejected]).create).toEqual([]);
    const asked = plan([assignment('b', 'trace_exec')], [rejected]);
    expect(asked.create).toHaveLength(1);
    expect(asked.retire).toMatchObject([{ run: { id: 'rkept0000001' } }]);
  });

  describe('by the types of the device’s kernel', () => {
    const offers = {
      missing: { kind: 'own', basis: 'k missing' },
      tailored: { kind: 'tailored', basis: 'k add1', addendum: 'add1', spare: false },
      other: { kind: 'tailored', basis: 'k add2', addendum: 'add2', spare: false },
      spare: { kind: 'tailored', basis: 'k add1', addendum: 'add1', spare: true },
      refused: { kind: 'refused', basis: 'k refused', error: { code: 'KERNEL_TYPES', message: 'gone' } },
    } as const;
    const offered = (offer: DecidedOffer, runs: WantedRun[]) =>
      planRuns(
        decide([assignment('a', 'trace_exec')]).map((item) => ({ ...item, offer })),
        runs,
        now,
        mint,
      );

    it('offers with the addendum, and keeps the run when another one comes', () => {
      expect(offered(offers.tailored, []).entries).toMatchObject([{ addendum: 'add1' }]);
      const changed = offered(offers.other, [wanted({ basis: 'k add1' })]);
      expect(changed).toMatchObject({ entries: [{ run: 'rkept0000001', addendum: 'add2' }], create: [] });
      expect(changed.rebase).toEqual([{ id: 'rkept0000001', basis: 'k add2' }]);
    });

    it('asks a device anew that had rejected it for want of types, under another name', () => {
      const anew = offered(offers.tailored, [wanted({ state: 'REJECTED', basis: 'k missing' })]);
      expect(anew.create).toHaveLength(1);
      expect(anew.retire).toMatchObject([{ run: { id: 'rkept0000001' } }]);
      expect(offered(offers.missing, [wanted({ state: 'REJECTED', basis: 'k missing' })]).create).toEqual([]);
    });

    it('does not ask anew what ended for another reason, nor what is from before this was kept', () => {
      for (const run of [wanted({ state: 'SUSPECT_CRASH', basis: 'k missing' }), wanted({ state: 'REJECTED' })]) {
        expect(offered(offers.tailored, [run]).create).toEqual([]);
      }
    });

    it('offers nothing that cannot be loaded, and has a run that says so', () => {
      const plan = offered(offers.refused, []);
      expect(plan).toMatchObject({ entries: [], create: [{ item: {} }], refuse: [{ error: { message: 'gone' } }] });
      const again = offered(offers.refused, [wanted({ state: 'REJECTED', basis: 'k refused' })]);
      expect(again).toMatchObject({ entries: [], create: [] });
    });

    it('spares memory only where it does not have to load again', () => {
      expect(offered(offers.spare, []).entries).toMatchObject([{ addendum: 'add1' }]);
      const running = offered(offers.spare, [wanted({ basis: 'k' })]);
      expect(running.entries[0]).not.toHaveProperty('addendum');
      expect(running.rebase).toEqual([]);
      expect(offered(offers.spare, [wanted({ basis: 'k add1' })]).entries).toMatchObject([{ addendum: 'add1' }]);
    });
  });

  describe('without room', () => {
    const error = { code: 'DESIRED_FULL', message: 'no room' };
    const [item] = decide([assignment('a', 'trace_exec')]) as [ReturnType<typeof decide>[number]];
    const crowded = (runs: WantedRun[]) => planRuns([{ ...item, offer: { ...NO_ROOM, error } }], runs, now, mint);

    it('has a run that says so, and says it once', () => {
      const first = crowded([]);
      expect(first).toMatchObject({ entries: [], create: [{ item: { intent: 'a' } }], refuse: [{ error }] });
      expect(first.rebase).toMatchObject([{ basis: NO_ROOM.basis }]);
      const again = crowded([wanted({ state: 'REJECTED', basis: NO_ROOM.basis })]);
      expect(again).toMatchObject({ entries: [], create: [], retire: [], rebase: [] });
    });

    it('is not said to be unwanted where it was attached', () => {
      for (const state of ['ATTACHED', 'OFFERED', 'DEFERRED'] as const) {
        const { entries, create, retire } = crowded([wanted({ state, basis: 'k' })]);
        expect([entries.length, create.length]).toEqual([0, 1]);
        expect(retire).toMatchObject([{ to: 'SUPERSEDED', reason: expect.stringContaining('no room') }]);
      }
    });

    it('is offered as another run once there is room, known kernel or not', () => {
      const refused = wanted({ state: 'REJECTED', basis: NO_ROOM.basis });
      for (const offer of [undefined, { kind: 'own', basis: 'k' } as const]) {
        const { entries, create } = planRuns([{ ...item, ...(offer ? { offer } : {}) }], [refused], now, mint);
        expect([entries.length, create.length]).toEqual([1, 1]);
      }
    });
  });

  it('ends an attached debug run on time, and says of one that never attached that it timed out', () => {
    const run = { kind: 'debug', intent: 'alice', endsAt: at(10) } as const;
    const attached = plan([], [wanted({ ...run, id: 'rdebug000001' })], [debug('rdebug000001')], at(10));
    expect(attached).toMatchObject({ entries: [], retire: [{ to: 'ENDED', reason: 'its time was up' }] });
    const offered = plan(
      [],
      [wanted({ ...run, id: 'rdebug000001', state: 'OFFERED' })],
      [debug('rdebug000001')],
      at(10),
    );
    expect(offered.retire).toMatchObject([{ to: 'TIMED_OUT' }]);
  });
});
