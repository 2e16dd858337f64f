import { expect, it } from '@jest/globals';
import { FakeKernel } from '../testing/fake-kernel.js';
import { stopAgent } from './stop.js';

const HANGING = { stop: () => new Promise<void>(() => undefined) };

function kernelWithRun(): FakeKernel {
  const kernel = new FakeKernel();
  kernel.load({ run: 'raaaaaaaa' });
  return kernel;
}

it('takes the pins away when the agent hangs or fails in its stop, and says so', async () => {
  const lines: unknown[] = [];
  const log = (level: string, event: string, facts?: object): void => void lines.push([level, event, facts]);
  const hangs = kernelWithRun();
  expect(await stopAgent({ agent: HANGING, kernel: hangs, mode: 'detach', timeoutMs: 1, log })).toBe(1);
  const fails = kernelWithRun();
  const failing = { stop: () => Promise.reject(new Error('the disk is gone')) };
  expect(await stopAgent({ agent: failing, kernel: fails, mode: 'detach', timeoutMs: 60_000, log })).toBe(1);
  expect([hangs.pinnedRuns(), fails.pinnedRuns()]).toEqual([[], []]);
  expect(lines).toEqual([
    ['error', 'agent.stop', { message: 'it did not stop within 1 ms' }],
    ['error', 'agent.stop', expect.objectContaining({ message: 'the disk is gone' })],
  ]);
});

it('leaves them for the next agent when it is told to, and else removes what an agent that had not begun did not know', async () => {
  const log = (): void => undefined;
  const left = kernelWithRun();
  expect(await stopAgent({ agent: HANGING, kernel: left, mode: 'leave', timeoutMs: 1, log })).toBe(1);
  const stopped = kernelWithRun();
  const agent = { stop: () => Promise.resolve() };
  expect(await stopAgent({ agent, kernel: stopped, mode: 'detach', timeoutMs: 60_000, log })).toBe(0);
  expect([left.pinnedRuns(), stopped.pinnedRuns()]).toEqual([['raaaaaaaa'], []]);
});

it('goes on to the next run when the pins of one cannot be removed', async () => {
  const lines: unknown[] = [];
  const log = (_: string, event: string, facts?: object): void => void lines.push([event, facts]);
  const kernel = kernelWithRun();
  kernel.load({ run: 'rbbbbbbbb' });
  const removePins = kernel.removePins.bind(kernel);
  kernel.removePins = (run) => {
    if (run === 'raaaaaaaa') throw new Error('device or resource busy');
    removePins(run);
  };
  expect(await stopAgent({ agent: HANGING, kernel, mode: 'detach', timeoutMs: 1, log })).toBe(1);
  expect(kernel.pinnedRuns()).toEqual(['raaaaaaaa']);
  expect(lines[1]).toEqual([
    'agent.stop',
    expect.objectContaining({ run: 'raaaaaaaa', message: 'device or resource busy' }),
  ]);
});
