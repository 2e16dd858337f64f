import { expect, it } from '@jest/globals';
import { SymbolAddresses } from './symbol-addresses.js';

interface Symbol {
  readonly address: bigint;
  readonly module: number;
}

function tableOf(symbols: readonly Symbol[]): SymbolAddresses {
  const table = new SymbolAddresses();
  let last = 0n;
  // Two at a time, so that some lie in order with those before them and not with each other.
  for (let begin = 0; begin < symbols.length; begin += 2) {
    const pair = symbols.slice(begin, begin + 2);
    const rises = pair.map(({ address }, at) => address >= (at === 0 ? last : (pair[0]?.address ?? 0n)));
    last = pair.at(-1)?.address ?? last;
    table.add(
      Uint32Array.from(pair, ({ address }) => Number(address & 0xffff_ffffn)),
      pair.map(({ address, module }, at) => ({ begin: at, high: Number(address >> 32n), module })),
      rises.indexOf(false) < 0 ? rises.length : rises.indexOf(false),
    );
  }
  table.finish();
  return table;
}

/** As slow as it is plain. */
function belowIn(symbols: readonly Symbol[], address: bigint): number | undefined {
  let found: number | undefined;
  for (const [index, symbol] of symbols.entries()) {
    if (symbol.address <= address && (found === undefined || symbol.address > (symbols[found]?.address ?? 0n)))
      found = index;
  }
  return found;
}

/** The same numbers each time (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

it('finds what is below an address, over modules in any order and upper halves that change', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const next = random(seed);
    const upTo = (bound: number): number => Math.floor(next() * bound);
    const symbols: Symbol[] = [];
    const region = (begin: bigint, count: number, module: number, inOrder: boolean): void => {
      let at = begin;
      for (let left = count; left > 0; left--) {
        // Aliases now and then.
        at = inOrder ? at + BigInt(upTo(4) * 16) : begin + BigInt(upTo(64) * 16);
        symbols.push({ address: at, module });
      }
    };
    region(0xffff_ffff_8100_0000n, upTo(100), 0, true);
    // Across the end of 4 GiB, and below the kernel as on ARM.
    for (let module = 1; module <= upTo(5); module++)
      region(0xffff_8000_ffff_fe00n + BigInt(upTo(1024)), upTo(30), module, false);
    region(0xffff_ffff_c000_0000n, upTo(20), 9, upTo(2) === 0);
    const table = tableOf(symbols);
    expect(table.length).toBe(symbols.length);
    for (const [index, { address, module }] of symbols.entries()) {
      expect([table.address(index), table.module(index)]).toEqual([address, module]);
      for (const near of [address - 1n, address, address + 8n]) expect(table.below(near)).toBe(belowIn(symbols, near));
    }
    for (const far of [0n, 0xffff_ffff_ffff_ffffn]) expect(table.below(far)).toBe(belowIn(symbols, far));
  }
});

it('keeps five bytes or less of a symbol that is in order', () => {
  const symbols = Array.from({ length: 100_000 }, (_, index) => ({
    address: 0xffff_ffff_8100_0000n + BigInt(index * 32),
    module: 0,
  }));
  expect(tableOf(symbols).bytes / symbols.length).toBeLessThan(5);
});
