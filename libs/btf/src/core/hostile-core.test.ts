import { describe, expect, it } from '@jest/globals';
import { ASKING_SOURCE } from '../../test/asking-object.js';
import { compileBpf, randomFrom } from '../../test/compile-bpf.js';
import { parseElf } from '../elf/elf.js';
import { BtfError } from '../error.js';
import { readObject } from '../object/object.js';
import type { Btf } from '../types/btf.js';
import { parseBtf } from '../types/parse.js';
import type { BtfType } from '../types/types.js';
import { writeBtf } from '../types/write.js';
import { patchInstructions } from './patch.js';
import { findReadMismatches } from './read-sizes.js';
import { resolveCoreRelocations } from './resolve.js';
import { tailorBtf } from './tailor.js';

const KERNEL =
  'struct in { int z; unsigned b : 3; int a[9]; }; struct s { struct s *next; struct in in; long l; union { struct { int u; }; long v; }; int tail[]; } s; enum e { ONE, THREE, TWO } e;';

/** Everything that can be asked about an object and a kernel: whatever comes must be an answer or a BtfError. */
function exercise(objectBytes: Uint8Array, kernelBytes: () => Btf): boolean {
  try {
    const object = readObject(objectBytes);
    const kernel = kernelBytes();
    const resolution = resolveCoreRelocations(object, kernel);
    patchInstructions(object, resolution);
    findReadMismatches(object, resolution);
    const tailored = parseBtf(tailorBtf(object, kernel));
    resolveCoreRelocations(object, tailored);
    kernel.printHeader();
    return true;
  } catch (error) {
    if (error instanceof BtfError) return false;
    throw error;
  }
}

describe('CO-RE of damaged input', () => {
  const object = compileBpf(ASKING_SOURCE);
  const kernelObject = compileBpf(KERNEL);
  const section = (bytes: Uint8Array, name: string) => parseElf(bytes).section(name)?.data as Uint8Array;
  const kernel = section(kernelObject, '.BTF').slice();

  it('works on what is whole', () => expect(exercise(object, () => parseBtf(kernel))).toBe(true));

  it.each([1, 2, 3, 4])('is answered or refused, but never anything else (seed %d)', (seed) => {
    const random = randomFrom(seed);
    const whole = { object: 0, kernel: 0 };
    const damage = (bytes: Uint8Array, start: number, length: number) => {
      const copy = bytes.slice();
      for (let flips = 1 + Math.floor(random() * 4); flips > 0; flips -= 1) {
        copy[start + Math.floor(random() * length)] = Math.floor(random() * 256);
      }
      return copy;
    };
    const parts = ['.BTF.ext', '.BTF', 'raw_tp/x'].map((name) => section(object, name));
    for (let round = 0; round < 250; round += 1) {
      const part = parts[round % parts.length] as Uint8Array;
      if (exercise(damage(object, part.byteOffset - object.byteOffset, part.length), () => parseBtf(kernel)))
        whole.object += 1;
      if (exercise(object, () => parseBtf(damage(kernel, 24, kernel.length - 24)))) whole.kernel += 1;
    }
    expect(whole.object).toBeLessThan(250);
    expect(whole.kernel).toBeLessThan(250);
  });
});

const struct = (name: string, bytes: number, ...members: readonly (readonly [string, number, number])[]): BtfType => ({
  kind: 'struct',
  id: 0,
  name,
  bytes,
  members: members.map(([member, typeId, offsetBits]) => ({ name: member, typeId, offsetBits, bitfieldBits: 0 })),
});

describe('hostile kernels', () => {
  const reader = readObject(
    compileBpf(
      `struct s { int x; } __attribute__((preserve_access_index)); SEC("raw_tp/x") int p(struct s *s) { return s->x; }`,
    ),
  );
  const outcomes = (kernel: Btf) => resolveCoreRelocations(reader, kernel).relocations.map(({ outcome }) => outcome);

  it('ends at structs that contain themselves', () => {
    const kernel = parseBtf(writeBtf([struct('s', 8, ['', 1, 0])]));
    expect(outcomes(kernel)).toEqual(['refused']);
    expect(() => kernel.printHeader()).toThrow(BtfError);
  });

  it('ends at typedefs, pointers and functions that go in circles', () => {
    const circle: BtfType[] = [
      { kind: 'typedef', id: 0, name: 'a', typeId: 2 },
      { kind: 'ptr', id: 0, name: '', typeId: 3 },
      { kind: 'func_proto', id: 0, name: '', returnTypeId: 2, parameters: [{ name: 'f', typeId: 2 }] },
      struct('s', 4, ['x', 1, 0]),
    ];
    const kernel = parseBtf(writeBtf(circle));
    expect(outcomes(kernel)).toEqual(['poisoned']);
    expect(() => kernel.printHeader()).toThrow(BtfError);
  });

  it('does not multiply with structs that double at every level', () => {
    const levels = Array.from({ length: 40 }, (_, i) => struct('', 4, ['', i + 3, 0], ['', i + 3, 0]));
    const kernel = parseBtf(writeBtf([struct('s', 4, ['', 2, 0]), ...levels, struct('', 0)]));
    expect(outcomes(kernel)).toEqual(['refused']);
  });

  it('prints names that are not names as names', () => {
    const kernel = parseBtf(writeBtf([struct('a; int evil', 0), struct('while', 0, ['x y', 1, 0])]));
    const header = kernel.printHeader();
    expect(header).toContain('struct _a__int_evil {');
    expect(header).toContain('struct while_ {');
    expect(header).not.toContain('int evil {');
  });
});
