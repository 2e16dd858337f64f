import { describe, expect, it } from '@jest/globals';
import { gatherMs, StaleGatherer, staleKeys, type Key } from './live-keys.js';

const device = 'd0001a7c2f9';

describe('staleKeys', () => {
  it('reads a device and its list again when it comes or goes', () => {
    expect(staleKeys({ type: 'device', device, online: true })).toContainEqual(['device', device]);
    expect(staleKeys({ type: 'device', device, online: true })).toContainEqual(['devices']);
  });

  it('reads only the telemetry of the device that sent some', () => {
    expect(staleKeys({ type: 'telemetry', device, run: 'r', samples: 1, events: 0 })).toContainEqual([
      'telemetry',
      device,
    ]);
  });

  it('reads the lab again when it goes on, and of releases the one that it proves', () => {
    const proof = staleKeys({ type: 'lab', release: 'r1' });
    expect(proof).toEqual(expect.arrayContaining([['lab'], ['release', 'r1', 'kernels'], ['preflight']]));
    expect(proof).not.toContainEqual(['release']);
    expect(staleKeys({ type: 'lab', release: null })).toEqual(
      expect.arrayContaining([['lab'], ['release'], ['kernels']]),
    );
  });

  it('reads everything when the server could not tell everything', () => {
    expect(staleKeys({ type: 'dropped', count: 3 })).toBe('all');
  });
});

describe('StaleGatherer', () => {
  it('hands a key out once for many events, and again afterwards', () => {
    const pending: (() => void)[] = [];
    const waits: number[] = [];
    const out: Key[] = [];
    const gatherer = new StaleGatherer((key) => out.push(key), {
      set: (run, ms) => {
        pending.push(run);
        waits.push(ms);
      },
    });
    gatherer.add(['telemetry', device]);
    gatherer.add(['telemetry', device]);
    gatherer.add(['run', 'r1']);
    expect(waits).toEqual([gatherMs(['telemetry', device]), gatherMs(['run', 'r1'])]);
    for (const run of pending.splice(0)) run();
    expect(out).toEqual([
      ['telemetry', device],
      ['run', 'r1'],
    ]);
    gatherer.add(['run', 'r1']);
    expect(pending).toHaveLength(1);
  });
});
