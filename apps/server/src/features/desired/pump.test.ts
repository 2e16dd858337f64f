import { describe, expect, it } from '@jest/globals';
import { Pump } from './pump.js';

const HOUR_MS = 3_600_000;

function gate() {
  const calls: ((more: boolean) => void)[] = [];
  const fails: ((error: Error) => void)[] = [];
  const warned: string[] = [];
  let called: () => void = () => undefined;
  const work = () =>
    new Promise<boolean>((resolve, reject) => {
      calls.push(resolve);
      fails.push(reject);
      called();
    });
  const pump = new Pump(work, HOUR_MS, { warn: (message: string) => void warned.push(message) });
  const nextCall = () => new Promise<void>((resolve) => (called = resolve));
  return { pump, calls, fails, warned, nextCall };
}

describe('pump', () => {
  it('never works twice at once, and works once more when woken meanwhile', async () => {
    const { pump, calls, nextCall } = gate();
    pump.wake();
    pump.wake();
    pump.wake();
    expect(calls).toHaveLength(1);
    pump.wake();
    const second = nextCall();
    calls[0]?.(false);
    await second;
    expect(calls).toHaveLength(2);
    calls[1]?.(false);
    await pump.stop();
    expect(calls).toHaveLength(2);
  });

  it('goes on while there is more', async () => {
    const { pump, calls, nextCall } = gate();
    pump.wake();
    const second = nextCall();
    calls[0]?.(true);
    await second;
    calls[1]?.(false);
    await pump.stop();
    expect(calls).toHaveLength(2);
  });

  it('says what went wrong and waits for the next wake-up', async () => {
    const { pump, calls, fails, warned } = gate();
    pump.wake();
    pump.wake();
    fails[0]?.(new Error('the database is away'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(warned).toEqual(['the database is away']);
    expect(calls).toHaveLength(1);
    pump.wake();
    expect(calls).toHaveLength(2);
    calls[1]?.(false);
    await pump.stop();
  });

  it('begins nothing after it was stopped, and waits for what is under way', async () => {
    const { pump, calls } = gate();
    pump.wake();
    const stopped = pump.stop();
    pump.wake();
    calls[0]?.(true);
    await stopped;
    expect(calls).toHaveLength(1);
  });
});
