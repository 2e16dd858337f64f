import { describe, expect, it, jest } from '@jest/globals';
import { LeaseKeeper } from './lease-keeper.js';

describe('the keeper of a lease', () => {
  it('renews, tries again when the database is away, and says when the lease is lost', async () => {
    jest.useFakeTimers();
    try {
      const answers: (boolean | Error)[] = [true, new Error('away'), true, false];
      const keeper = new LeaseKeeper(async () => {
        const answer = answers.shift();
        if (answer instanceof Error) throw answer;
        return answer ?? true;
      }, 1_000);
      await jest.advanceTimersByTimeAsync(3_000);
      expect(keeper.lost.aborted).toBe(false);
      await jest.advanceTimersByTimeAsync(1_000);
      expect([keeper.lost.aborted, answers]).toEqual([true, []]);
      keeper.stop();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});
