import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { comparable } from '../../test/compare-code.js';
import { compileBpf } from '../../test/compile-bpf.js';
import { Libbpf } from '../../test/libbpf.js';
import { parseElf } from '../elf/elf.js';
import { readObject } from '../object/object.js';
import { parseBtf } from '../types/parse.js';
import { InstructionView } from './instruction.js';
import { patchInstructions } from './patch.js';
import { resolveCoreRelocations } from './resolve.js';

const PREAMBLE = `
#define ASK(x, what) __builtin_preserve_field_info(x, what)
#define TYPE(t, what) __builtin_preserve_type_info(*(typeof(t) *)0, what)
#define VALUE(t, value, what) __builtin_preserve_enum_value(*(typeof(t) *)value, what)
volatile __u64 sink;
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct s { int x; unsigned long l; unsigned bits : 3; int list[4]; };
enum e { ONE = 1, TWO };
#pragma clang attribute pop
`;
const program = (expression: string): string =>
  `${PREAMBLE}SEC("raw_tp/x") int p(struct s *s) { sink = ${expression}; return 0; }`;

/** Kernels that have one name several times, and what is asked of them. */
const AMBIGUOUS: readonly (readonly [what: string, asked: string, kernel: string, refused: boolean])[] = [
  ['at different offsets', 's->x', 'struct s { int x; } a; struct s___2 { long b; int x; } b;', true],
  ['at the same offset', 's->x', 'struct s { int x; } a; struct s___2 { int x; long b; } b;', false],
  ['in one of them only', 's->x', 'struct s { int y; } a; struct s___2 { long b; int x; } b;', false],
  ['in one of them only, the first', 's->x', 'struct s { long b; int x; } a; struct s___2 { int y; } b;', false],
  ['in none of them', 'ASK(s->x, 2)', 'struct s { int y; } a; struct s___2 { int z; } b;', false],
  [
    'asked for, at different offsets',
    'ASK(s->x, 2)',
    'struct s { int x; } a; struct s___2 { long b; int x; } b;',
    true,
  ],
  ['of different sizes, and the offset is asked', 's->l', 'struct s { long l; } a; struct s___2 { int l; } b;', false],
  [
    'of different sizes, and the size is asked',
    'ASK(s->l, 1)',
    'struct s { long l; } a; struct s___2 { int l; } b;',
    true,
  ],
  ['of different sign', 'ASK(s->x, 3)', 'struct s { int x; } a; struct s___2 { unsigned x; } b;', true],
  [
    'of different width',
    'ASK(s->bits, 5)',
    'struct s { unsigned bits : 3; } a; struct s___2 { unsigned bits : 4; } b;',
    true,
  ],
  ['as different kinds of type', 's->x', 'struct s { int x; } a; struct s___2 { void *x; } b;', false],
  ['with different sizes', 'TYPE(struct s, 1)', 'struct s { int x; } a; struct s___2 { long b[2]; } b;', true],
  ['with equal sizes', 'TYPE(struct s, 1)', 'struct s { int x; } a; struct s___2 { int y; } b;', false],
  ['whatever their members', 'TYPE(struct s, 0)', 'struct s { int x; } a; struct s___2 { long b[2]; } b;', false],
  ['with different values', 'VALUE(enum e, TWO, 1)', 'enum e { ONE = 1, TWO } a; enum e___2 { TWO___2 = 7 } b;', true],
  ['with equal values', 'VALUE(enum e, TWO, 1)', 'enum e { ONE = 1, TWO } a; enum e___2 { TWO___2 = 2 } b;', false],
  [
    'as enumerators of one of them',
    'VALUE(enum e, TWO, 0)',
    'enum e { THREE } a; enum e___2 { TWO___2 = 9 } b;',
    false,
  ],
  ['as several ids', '__builtin_btf_type_id(*s, 1)', 'struct s { int x; } a; struct s___2 { int x; } b;', true],
  [
    'at different offsets after an agreement that left one of them out',
    '({ sink = s->x; s->l; })',
    'struct s { int x; unsigned long l; } a; struct s___2 { long l; } b;',
    false,
  ],
];

const ONE_KERNEL = 'struct s { char far[40000]; int x; unsigned long l; unsigned bits : 3; int list[4]; } s;';
const NEAR_KERNEL =
  'struct s { long b; int x; unsigned long l; unsigned bits : 3; int list[4]; } s; enum e { TWO = 9 } e;';
const WIDE_KERNEL = 'struct s { int x; unsigned __int128 l; unsigned bits : 3; int list[4]; } s;';

type Spoil = (view: InstructionView) => void;
const first = (view: InstructionView, test: (at: number) => boolean): number => {
  const at = Array.from({ length: view.count }, (_, index) => index).findIndex(test);
  if (at < 0) throw new Error('the compiler made other code than this test knows');
  return at;
};
const LOAD: Spoil = (view) => view.setOffset(0, 3);
const immediateOf =
  (opcode: number, change: (view: InstructionView, at: number) => void): Spoil =>
  (view) =>
    change(
      view,
      first(view, (at) => view.opcode(at) === opcode),
    );

/** Objects whose instructions are not what their relocations say, as if the compiler had been wrong. */
const SPOILT: readonly (readonly [what: string, asked: string, kernel: string, spoil: Spoil, refused: boolean])[] = [
  ['nothing', 's->x', NEAR_KERNEL, () => undefined, false],
  ['the offset of a load', 's->x', NEAR_KERNEL, LOAD, true],
  ['the offset of a load of what is not there', 's->x', 'struct s { int y; } s;', LOAD, false],
  [
    'the size of a load, of a field that keeps its size',
    's->l',
    NEAR_KERNEL,
    (view) => view.setMemoryBytes(0, 4),
    false,
  ],
  [
    'the size of a load, of a field that changes it',
    's->l',
    'struct s { unsigned l; } s;',
    (view) => view.setMemoryBytes(0, 4),
    true,
  ],
  ['an offset that is too far', 's->x', ONE_KERNEL, () => undefined, true],
  ['a size that no load has', 's->l', WIDE_KERNEL, () => undefined, true],
  ['an immediate', 'ASK(s->l, 0)', NEAR_KERNEL, immediateOf(0xb7, (view, at) => view.setImmediate(at, 77)), true],
  [
    'the immediate of a shift',
    'ASK(s->bits, 5)',
    NEAR_KERNEL,
    immediateOf(0xb7, (view, at) => view.setImmediate(at, 77)),
    true,
  ],
  ['a far offset as an immediate', 'ASK(s->l, 0)', ONE_KERNEL, () => undefined, false],
  [
    'an immediate that is a register',
    'ASK(s->l, 0)',
    NEAR_KERNEL,
    immediateOf(0xb7, (view, at) => view.setOpcode(at, 0xbf)),
    true,
  ],
  ['an instruction that is a jump', 's->x', NEAR_KERNEL, (view) => view.setOpcode(0, 0x05), true],
  ['an instruction that is a call', 's->x', NEAR_KERNEL, (view) => view.setOpcode(0, 0x85), true],
  [
    'a 64-bit immediate',
    'VALUE(enum e, TWO, 1)',
    NEAR_KERNEL,
    immediateOf(0x18, (view, at) => view.setImmediate(at, 5)),
    true,
  ],
  [
    'the upper half of a 64-bit immediate',
    'VALUE(enum e, TWO, 1)',
    NEAR_KERNEL,
    immediateOf(0x18, (view, at) => view.setImmediate(at + 1, 5)),
    true,
  ],
  [
    'the opcode of the second half',
    'VALUE(enum e, TWO, 1)',
    NEAR_KERNEL,
    immediateOf(0x18, (view, at) => view.setOpcode(at + 1, 0xb7)),
    true,
  ],
  [
    'the offset of the second half',
    'VALUE(enum e, TWO, 1)',
    NEAR_KERNEL,
    immediateOf(0x18, (view, at) => view.setOffset(at + 1, 1)),
    true,
  ],
];

describeWithKernel('what is refused, held against libbpf', ['root', 'clang', 'libbpf_source'], () => {
  let libbpf: Libbpf;
  beforeAll(() => {
    libbpf = new Libbpf();
  });
  afterAll(() => libbpf.close());

  function expectAgreement(bytes: Uint8Array, kernelSource: string, refused: boolean): void {
    const kernel = parseElf(compileBpf(`unsigned long pointers_are_so_large; ${kernelSource}`))
      .section('.BTF')
      ?.data.slice();
    const object = readObject(bytes);
    const { programs, refusals } = patchInstructions(
      object,
      resolveCoreRelocations(object, parseBtf(kernel ?? new Uint8Array())),
    );
    const theirs = libbpf.prepare(bytes, kernel ?? new Uint8Array());
    expect({ ours: refusals.length > 0, libbpf: theirs.refusal !== undefined }).toEqual({
      ours: refused,
      libbpf: refused,
    });
    if (refused) return;
    const reference = theirs.programs.get('p') as Uint8Array;
    expect(comparable(programs[0]?.instructions as Uint8Array, reference)).toEqual(comparable(reference, reference));
  }

  it.each(AMBIGUOUS)('several types of one name: what is asked is there %s (%s)', (_what, asked, kernel, refused) => {
    expectAgreement(compileBpf(program(asked)), kernel, refused);
  });

  it.each(SPOILT)('code that does not fit its relocation: %s (%s)', (_what, asked, kernel, spoil, refused) => {
    const bytes = compileBpf(program(asked)).slice();
    const code = parseElf(bytes).section('raw_tp/x')?.data as Uint8Array;
    spoil(new InstructionView(code, true));
    expectAgreement(bytes, kernel, refused);
  });
});
