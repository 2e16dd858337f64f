import { describe, expect, it } from '@jest/globals';
import type { Release, Run } from '@bpfleet/api';
import { reportOf, signatureOf, verdictOf, whatIsMissing } from './check.js';
import type { Observation } from './check.js';

type Word = 'accepted' | 'refused' | 'unproven';

function release(verdicts: Word[], state: 'signed' | 'unsigned' = 'signed'): Release {
  return { verdicts: verdicts.map((verdict) => ({ verdict })), signature: { state, keyids: [] } } as unknown as Release;
}

function run(state: string, probe = 'trace_exec', message = 'no such hook'): Run {
  return {
    state,
    probe,
    error: state === 'ATTACHED' ? null : { code: 'X', message, log: null },
  } as unknown as Run;
}

const overview = {
  devices: 1,
  devicesOnline: 1,
  runsAttached: 1,
  samples: 5,
  events: 7,
  series: 2,
  firstTelemetryAt: '2026-01-01T00:00:12.340Z',
  lastTelemetryAt: '2026-01-01T00:00:13.000Z',
};
const whole: Observation = { overview, runs: [run('ATTACHED')], releases: [release(['accepted'])] };
const startedAt = new Date('2026-01-01T00:00:00Z');

describe('whatIsMissing', () => {
  it('asks for a device, settled runs, samples and events, in this order', () => {
    expect(whatIsMissing({ ...whole, overview: { ...overview, devicesOnline: 0 } })).toBe('no device is online');
    expect(whatIsMissing({ ...whole, runs: [run('FETCHING')] })).toBe('1 of 1 runs are neither attached nor refused');
    expect(whatIsMissing({ ...whole, overview: { ...overview, samples: 0 } })).toMatch(/no samples/);
    expect(whatIsMissing({ ...whole, overview: { ...overview, events: 0 } })).toMatch(/no events/);
    expect(whatIsMissing(whole)).toBeUndefined();
  });
});

describe('reportOf', () => {
  it('counts seconds from the start to the first telemetry', () => {
    const report = reportOf(whole, startedAt, new Date('2026-01-01T00:00:20Z'));
    expect(report).toMatchObject({
      ok: true,
      samples: 5,
      events: 7,
      verdict: 'accepted',
      signature: 'signed',
      secondsToFirstTelemetry: 12.3,
      seconds: 20,
    });
  });

  it('lets a machine lack a feature, and names it, but not a run fail', () => {
    const lacking = reportOf(
      { ...whole, runs: [run('ATTACHED'), run('REJECTED', 'count_packets')] },
      startedAt,
      startedAt,
    );
    expect(lacking.ok).toBe(true);
    expect(lacking.runsNotAttached).toEqual([{ probe: 'count_packets', state: 'REJECTED', error: 'no such hook' }]);
    const failed = reportOf({ ...whole, runs: [run('FAILED', 'trace_tcp')] }, startedAt, startedAt);
    expect(failed).toMatchObject({ ok: false, error: 'The run of trace_tcp failed: no such hook' });
  });

  it('passes where another program holds the hook that a probe wants', () => {
    const busy = run('FAILED', 'count_packets', 'attach count_packets: EBUSY (Device or resource busy)');
    const report = reportOf({ ...whole, runs: [run('ATTACHED'), busy] }, startedAt, startedAt);
    expect(report).toMatchObject({ ok: true, runsNotAttached: [{ probe: 'count_packets', state: 'FAILED' }] });
  });

  it('takes the worst word of many', () => {
    expect(verdictOf([release(['accepted']), release(['accepted', 'refused'])])).toBe('refused');
    expect(verdictOf([release(['accepted']), release([])])).toBe('unproven');
    expect(verdictOf([])).toBe('none');
    expect(signatureOf([release([], 'signed'), release([], 'unsigned')])).toBe('unsigned');
  });
});
