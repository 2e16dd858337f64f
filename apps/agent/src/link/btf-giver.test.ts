import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { BtfGiver } from './btf-giver.js';

const DIGEST = 'a'.repeat(64);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-btf-'));
  writeFileSync(join(folder, 'btf'), Buffer.from('0123456789'));
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

/** A giver whose broker takes a message when the test says so. */
function setUp(path = 'btf') {
  const sent: { at: number; offset: number }[] = [];
  let taken: (() => void) | undefined;
  const giver = new BtfGiver({
    path: join(folder, path),
    digest: DIGEST,
    publish: (_topic, payload) => {
      sent.push({ at: Date.now() - start, offset: Number(payload.readBigUInt64LE(0)) });
      return new Promise((resolve) => (taken = resolve));
    },
    monotonicMs: () => Date.now(),
    intervalMs: 100,
  });
  const start = Date.now();
  return { giver, sent, take: () => taken?.() };
}

const ask = (offset: number) => ({ digest: DIGEST, offset });

describe('a kernel that gives its BTF', () => {
  it('sends one chunk at a time, none faster than its rate, and of several that wait the newest', async () => {
    const { giver, sent, take } = setUp();
    giver.ask(ask(0));
    await jest.advanceTimersByTimeAsync(50);
    giver.ask(ask(4));
    giver.ask(ask(8));
    await jest.advanceTimersByTimeAsync(500);
    expect(sent).toMatchObject([{ at: 0, offset: 0 }]);
    take();
    await jest.advanceTimersByTimeAsync(99);
    expect(sent).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1);
    expect(sent.map(({ offset }) => offset)).toEqual([0, 8]);
    expect(sent[1]?.at).toBe(650);
  });

  it('survives questions beyond its end and a file that is gone, and sends nothing once it was stopped', async () => {
    const { giver, sent } = setUp();
    giver.ask(ask(10));
    giver.ask(ask(Number.MAX_SAFE_INTEGER));
    await jest.advanceTimersByTimeAsync(1_000);
    giver.ask(ask(0));
    giver.stop();
    await jest.advanceTimersByTimeAsync(1_000);
    const gone = setUp('nothing');
    gone.giver.ask(ask(0));
    await jest.advanceTimersByTimeAsync(1_000);
    expect([sent, gone.sent]).toEqual([[], []]);
  });
});
