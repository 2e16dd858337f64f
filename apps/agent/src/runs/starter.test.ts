import { expect, it } from '@jest/globals';
import type { RunSlot } from './run-slot.js';
import { Starter, type StarterOptions } from './starter.js';

/** Whoever touches one of these has gone further than it should. */
function untouchable(): never {
  throw new Error('nothing may be fetched, written or loaded');
}
const nothing = new Proxy({}, { get: untouchable });

function starterOn(kernelRelease: string): Starter {
  const facts = { kernelRelease } as StarterOptions['facts'];
  const options = { trust: nothing, fetcher: nothing, kernel: nothing, move: untouchable, facts };
  return new Starter(options as unknown as StarterOptions);
}
const slot = { abort: new AbortController(), run: 'raaaaaaaa' } as RunSlot;
const entry = { release: 'a'.repeat(64) } as Parameters<Starter['start']>[1];

it('refuses a kernel that no test runs on before anything is fetched', async () => {
  await expect(starterOn('4.19.0-21-armmp').start(slot, entry)).rejects.toMatchObject({
    code: 'KERNEL_TOO_OLD',
    message: 'this device runs Linux 4.19.0-21-armmp, and probes are tested from 5.10 on: move it to a newer kernel',
  });
});

it.each(['5.10.0-32-arm64', '6.18.1', 'our own'])('lets %s go on', async (release) => {
  await expect(starterOn(release).start(slot, entry)).rejects.toThrow('nothing may be fetched');
});
