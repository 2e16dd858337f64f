import { describe, expect, it } from '@jest/globals';
import { encodeLeaseSheet } from './lease-sheet.js';

const heartbeat = { bootId: 'b-1', seconds: 100.9 };

describe('the lease sheet', () => {
  it('says who beats and until when each run may stay', () => {
    const runs = [
      { run: 'r1', untilSeconds: 1309.2 },
      { run: 'r2', untilSeconds: -5 },
    ];
    expect(encodeLeaseSheet({ heartbeat, runs })).toBe(
      'bpfleet-leases 1\nboot b-1\nheartbeat 100\nrun r1 1310\nrun r2 0\nend\n',
    );
  });

  it('lets no name make a line of its own, and ends whole however many runs there are', () => {
    const runs = Array.from({ length: 300 }, (_, index) => ({ run: `r${index}`, untilSeconds: 1 }));
    const text = encodeLeaseSheet({ heartbeat, runs: [{ run: 'x 9\nend', untilSeconds: 1 }, ...runs] });
    expect(text).not.toContain('x 9');
    expect(text.match(/^run /gm)).toHaveLength(256);
    expect(text.endsWith('\nend\n')).toBe(true);
  });
});
