import { describe, expect, it } from '@jest/globals';
import { InstructionView } from './core/instruction.js';
import { LiveCode } from './core/live-code.js';
import { patchInstructions } from './core/patch.js';
import { findReadMismatches } from './core/read-sizes.js';
import type { Relocation } from './core/relocation.js';
import { resolveCoreRelocations } from './core/resolve.js';
import { tailorBtf } from './core/tailor.js';
import { BtfError } from './error.js';
import type { BpfObjectFile } from './object/types.js';
import type { Btf } from './types/btf.js';
import { parseBtf } from './types/parse.js';
import type { BtfType } from './types/types.js';
import { writeBtf } from './types/write.js';

/** What one question may cost, in seconds of processor time: other work on the machine does not count. */
const SECONDS_MAX = 12;

function expectBounded(ask: () => unknown): void {
  const before = process.cpuUsage();
  try {
    ask();
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
  }
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1e6).toBeLessThan(SECONDS_MAX);
}

const INT: BtfType = {
  kind: 'int',
  id: 0,
  name: 'int',
  bytes: 4,
  bits: 32,
  offsetBits: 0,
  signed: true,
  isBool: false,
  isChar: false,
};
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const struct = (name: string, members: readonly string[]): BtfType => ({
  kind: 'struct',
  id: 0,
  name,
  bytes: 4 * members.length,
  members: members.map((member, index) => ({ name: member, typeId: 1, offsetBits: index * 32, bitfieldBits: 0 })),
});
const btfOf = (types: readonly BtfType[]): Btf => parseBtf(writeBtf([INT, ...types]));

/** An object of types and relocations alone: what takes time is not its code. */
function objectOf(btf: Btf, relocations: readonly Omit<Relocation, 'section' | 'offset'>[]): BpfObjectFile {
  return {
    littleEndian: true,
    btf,
    license: 'GPL',
    programs: [],
    maps: [],
    dataSections: [],
    globals: [],
    coreRelocations: relocations.map((relocation, index) => ({
      ...relocation,
      section: 'raw_tp/x',
      offset: index * 8,
    })),
    lines: { lineAt: () => undefined },
    code: { functionAt: () => undefined, partsOf: () => undefined },
  } as unknown as BpfObjectFile;
}

const field = (typeId: number, access: string): Omit<Relocation, 'section' | 'offset'> => ({
  kind: 'field_byte_offset',
  typeId,
  access,
});

describe('time', () => {
  const many = times(60_000, (index) => `f${index}`);

  it('is bounded for a relocation of each of many members, in many structs of one name', () => {
    const object = objectOf(
      btfOf([struct('s', many)]),
      times(60_000, (index) => field(2, `0:${index}`)),
    );
    const kernel = btfOf(times(30, () => struct('s', [...many].reverse())));
    expectBounded(() => resolveCoreRelocations(object, kernel));
    expectBounded(() => tailorBtf(object, kernel));
  });

  it('is bounded for as many that are all gone', () => {
    const object = objectOf(
      btfOf([struct('s', many)]),
      times(60_000, (index) => field(2, `0:${index}`)),
    );
    const kernel = btfOf([
      struct(
        's',
        times(60_000, (index) => `g${index}`),
      ),
    ]);
    expectBounded(() => resolveCoreRelocations(object, kernel));
  });

  it('is bounded for many types of one name, on both sides', () => {
    const types = btfOf(times(50_000, () => struct('s', ['x'])));
    const object = objectOf(
      types,
      times(50_000, (index) => field(index + 2, '0:0')),
    );
    const typedefs = btfOf(times(400_000, (): BtfType => ({ kind: 'typedef', id: 0, name: 's', typeId: 1 })));
    expectBounded(() => resolveCoreRelocations(object, typedefs));
    expectBounded(() => resolveCoreRelocations(object, types));
  });

  it('is bounded for names that are long and overlap', () => {
    const names = times(300_000, (index): BtfType => ({ kind: 'typedef', id: 0, name: `t${index}`, typeId: 1 }));
    const bytes = writeBtf([INT, ...names]);
    const view = new DataView(bytes.buffer);
    const types = 24 + view.getUint32(12, true);
    const longest = bytes.length - types - 2;
    bytes.fill(0x5f, types + 5, bytes.length - 1);
    // Each name begins one byte before the last one's begin, and all end together.
    for (let at = 24 + 16, back = 0; at < types; at += 12, back += 1) view.setUint32(at, longest - (back % 4000), true);
    expectBounded(() => parseBtf(bytes).findByName('struct', 'nothing'));
  });

  it('is bounded for a header of types, enumerators and members that share one name', () => {
    const shared: BtfType[] = [
      ...times(60_000, (): BtfType => ({ kind: 'typedef', id: 0, name: 'x', typeId: 1 })),
      ...times(60_000, () => struct('x', [])),
      ...times(60_000, (): BtfType => ({ kind: 'fwd', id: 0, name: 'x', of: 'union' })),
      {
        kind: 'enum',
        id: 0,
        name: 'e',
        bytes: 4,
        signed: false,
        values: times(60_000, () => ({ name: 'x', value: 1n })),
      },
    ];
    expectBounded(() => btfOf(shared).printHeader());
  });

  it('is bounded for code in which constants get lost one at a time', () => {
    const count = 400_000;
    const code = new Uint8Array(count * 8);
    const view = new InstructionView(code, true);
    for (let at = 0; at < count; at += 1) {
      // if r0 == 0 goto far back or far ahead; else r<n> = at
      view.setOpcode(at, at % 2 === 0 ? 0x15 : 0xb7);
      view.setOffset(at, at % 2 === 0 ? ((at * 7919) % 60_000) - 30_000 : 0);
      view.setImmediate(at, at % 2 === 0 ? 0 : at);
      code[at * 8 + 1] = at % 10;
    }
    expectBounded(() => new LiveCode(view, [0]));
  });

  it('is bounded for thousands of programs that share their subprograms', () => {
    const bytes = new Uint8Array(8 * 200_000).fill(0xb7);
    const parts = [
      {
        name: 'p',
        section: 'x',
        offset: 0,
        instructionCount: 200_000,
        first: 0,
        bytes,
        calls: new Map(),
        references: new Map(),
      },
    ];
    const object = {
      ...objectOf(btfOf([]), []),
      programs: times(4096, (index) => ({ name: `p${index}` })),
      code: { functionAt: () => undefined, partsOf: () => parts },
    } as unknown as BpfObjectFile;
    const resolution = resolveCoreRelocations(object, btfOf([]));
    expectBounded(() => patchInstructions(object, resolution));
    expectBounded(() => findReadMismatches(object, resolution));
  });
});
