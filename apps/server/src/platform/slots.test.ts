import { describe, expect, it } from '@jest/globals';
import { Slots } from './slots.js';

class Full extends Error {}
const full = () => new Full('too many wait');

function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

describe('Slots', () => {
  it('runs as many at once as there are, the others in order, and goes on after a failure', async () => {
    const slots = new Slots(2, 64, full);
    const gates = [gate(), gate(), gate(), gate()];
    const log: string[] = [];
    const work = gates.map(({ opened }, i) =>
      slots.use(async () => {
        log.push(`begin ${i}`);
        await opened;
        log.push(`end ${i}`);
        if (i === 0) throw new Error('failed');
      }),
    );
    await Promise.resolve();
    expect(log).toEqual(['begin 0', 'begin 1']);
    gates[0]?.open();
    await expect(work[0]).rejects.toThrow('failed');
    for (const { open } of gates) open();
    await Promise.all(work.slice(1));
    expect(log.filter((line) => line.startsWith('begin'))).toEqual(['begin 0', 'begin 1', 'begin 2', 'begin 3']);
  });

  it('refuses what would wait too long a queue', async () => {
    const slots = new Slots(1, 1, full);
    const { opened, open } = gate();
    const running = slots.use(() => opened);
    const waiting = slots.use(async () => 'done');
    await expect(slots.use(async () => 'never')).rejects.toThrow(Full);
    open();
    await running;
    await expect(waiting).resolves.toBe('done');
  });
});
