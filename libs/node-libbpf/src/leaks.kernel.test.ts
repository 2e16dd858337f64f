import { expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { readdirSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FixtureCompiler } from '../fixtures/compile.js';
import { droppedHandles, openObject, returnFreedMemory, RingReader } from './index.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const steps = 10;
const roundsPerStep = 100;
// What stays behind of one leaked object, or of one ring reader, is 8 to 15 KiB a round (measured), in every step. The heap's
// own jumps are larger and happen once: the median step does not see them.
const growthBytesPerStepMax = 200 << 10;

/** Anonymous memory: pages of files come and go with the page cache. */
function anonymousBytes(): number {
  // Buffers are freed on another thread after a collection; a second one waits for that.
  collectGarbage();
  collectGarbage();
  return Number(/^RssAnon:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
}

// The longer run, 10,000 rounds, is `npm run bench -- leaks`.
describeWithKernel('leaks', ['root', 'bpf', 'clang'], () => {
  it(`keeps descriptors and memory flat over ${steps * roundsPerStep} rounds of open, load, attach and close`, async () => {
    const compiler = new FixtureCompiler();
    const bytes = compiler.compile('leaks');
    compiler.close();
    const run = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const object = openObject(bytes).load();
        const link = object.program('on_sys_enter').attach();
        new RingReader(object.map('records')).close();
        link.close();
        object.close();
        // Finalizers run between turns of the event loop.
        if (i % 50 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
      }
    };
    const openFds = () => readdirSync('/proc/self/fd').length;
    await run(roundsPerStep);
    const before = { fds: openFds(), dropped: droppedHandles() };
    const growths: number[] = [];
    for (let step = 0, bytesBefore = anonymousBytes(); step < steps; step++) {
      await run(roundsPerStep);
      const bytesNow = anonymousBytes();
      growths.push(bytesNow - bytesBefore);
      bytesBefore = bytesNow;
    }
    expect([openFds(), droppedHandles()]).toEqual([before.fds, before.dropped]);
    const median = growths.sort((a, b) => a - b)[steps / 2];
    expect(median).toBeLessThan(growthBytesPerStepMax);
  });

  it('gives the pages of freed native memory back when asked', () => {
    // Buffers of up to 64 KiB live in the C library's heap; the one kept behind them stops it from shrinking by itself.
    const buffers = Array.from({ length: 512 }, () => Buffer.allocUnsafeSlow(64 << 10).fill(1));
    const behind = Buffer.allocUnsafeSlow(64 << 10).fill(1);
    buffers.length = 0;
    const before = anonymousBytes();
    returnFreedMemory();
    expect(before - anonymousBytes()).toBeGreaterThan(16 << 20);
    expect(behind.length).toBe(64 << 10);
  });
});
