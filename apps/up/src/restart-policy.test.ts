import { expect, it } from '@jest/globals';
import { RestartPolicy } from './restart-policy.js';

it('waits longer after each death, forgets old ones, and gives up on too many', () => {
  const policy = new RestartPolicy({ firstDelayMs: 100, delayMsMax: 300, restartsMax: 3, windowMs: 10_000 });
  expect([0, 1, 2].map((at) => policy.delayAfterDeath(at))).toEqual([100, 200, 300]);
  expect(policy.delayAfterDeath(3)).toBeUndefined();
  expect(policy.delayAfterDeath(20_000)).toBe(100);
});
