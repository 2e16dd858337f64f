import { expect, it } from '@jest/globals';
import { KernelSymbols } from './kernel-symbols.js';

function addresses(...values: bigint[]): Buffer {
  const out = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => out.writeBigUInt64LE(value, index * 8));
  return out;
}

const base = 0xffff_ffff_8100_0000n;
const MINUTE_MS = 60_000;

/** A kernel with functions at these offsets, and how often its table was read. */
function kernel(functions: Record<string, number>, bits: 32 | 64 = 64, start = base) {
  const seen = { reads: 0, nowMs: 0, functions };
  const symbols = new KernelSymbols({
    bits,
    monotonicMs: () => seen.nowMs,
    read: () => {
      seen.reads += 1;
      const known = Object.entries(seen.functions).map(([name, at]) => ({ name, at: start + BigInt(at) }));
      return Promise.resolve({ nameOf: (address) => known.find(({ at }) => at === address)?.name });
    },
  });
  return { symbols, seen };
}

it('names kernel addresses, and never those of user space', async () => {
  const { symbols } = kernel({ first: 0x100, second: 0x180 });
  expect(await symbols.resolveNew(addresses(base + 0x180n, 0x7fff_0000_0000n, base + 0x100n))).toEqual([
    { kind: 'ksym', id: (base + 0x100n).toString(), name: 'first' },
    { kind: 'ksym', id: (base + 0x180n).toString(), name: 'second' },
  ]);
});

it('lets other things happen while it names many', async () => {
  const functions = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`f${at}`, at]));
  // Each look at the clock is 3 ms later.
  let nowMs = 0;
  const read = () => Promise.resolve({ nameOf: (address: bigint) => Object.keys(functions)[Number(address - base)] });
  const symbols = new KernelSymbols({ bits: 64, monotonicMs: () => (nowMs += 3), read });
  let [turns, done] = [0, false];
  const turn = (): void => {
    turns += 1;
    if (!done) setImmediate(turn);
  };
  setImmediate(turn);
  const names = await symbols.resolveNew(addresses(...Object.values(functions).map((at) => base + BigInt(at))));
  done = true;
  expect(names.map(({ name }) => name)).toEqual(Object.keys(functions));
  expect(turns).toBeGreaterThan(20);
});

it('takes what begins with the modules as the kernel of 32-bit ARM', async () => {
  const { symbols } = kernel({ in_module: 0, schedule: 0x0100_0000 }, 32, 0xbf00_0000n);
  const names = await symbols.resolveNew(addresses(0xbeff_ffffn, 0xbf00_0000n, 0xc000_0000n, 0xffff_ffff_c000_0000n));
  expect(names.map(({ name }) => name)).toEqual(['in_module', 'schedule']);
});

it('tells each name once, until something was lost', async () => {
  const { symbols } = kernel({ start: 0 });
  expect(await symbols.resolveNew(addresses(base, base))).toHaveLength(1);
  expect(await symbols.resolveNew(addresses(base))).toEqual([]);
  symbols.reset();
  expect(await symbols.resolveNew(addresses(base))).toHaveLength(1);
});

it('reads the table once for all the new addresses that a profile finds, not once for each picture', async () => {
  const { symbols, seen } = kernel({ a: 0, b: 1, c: 2 });
  for (const offset of [0n, 1n, 2n, 3n]) await symbols.resolveNew(addresses(base + offset));
  expect(seen.reads).toBe(1);
  await symbols.resolveNew(addresses(0x7fff_0000_0000n));
  expect(seen.reads).toBe(1);
});

it('asks a kernel that has no symbols once, and again as seldom as any other', async () => {
  let [reads, nowMs] = [0, 0];
  const read = (): Promise<never> => Promise.reject(new Error(`no such file, asked ${++reads} times`));
  const symbols = new KernelSymbols({ bits: 64, read, monotonicMs: () => nowMs });
  await expect(symbols.resolveNew(addresses(base))).rejects.toThrow('no such file');
  expect(await symbols.resolveNew(addresses(base, base + 1n))).toEqual([]);
  nowMs = 10 * MINUTE_MS + 1;
  await expect(symbols.resolveNew(addresses(base))).rejects.toThrow('asked 2 times');
});

it('learns after a while what was loaded since, and forgets the table when nobody asks', async () => {
  const { symbols, seen } = kernel({ a: 0 });
  expect(await symbols.resolveNew(addresses(base + 1n))).toEqual([]);
  seen.functions = { a: 0, loaded: 1 };
  seen.nowMs = 10 * MINUTE_MS;
  expect(await symbols.resolveNew(addresses(base + 1n))).toEqual([]);
  seen.nowMs += 1;
  expect(await symbols.resolveNew(addresses(base + 1n))).toMatchObject([{ name: 'loaded' }]);
  expect(seen.reads).toBe(2);
  symbols.drop();
  expect(await symbols.resolveNew(addresses(base))).toHaveLength(1);
  expect(seen.reads).toBe(3);
});
