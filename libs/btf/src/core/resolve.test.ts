import { beforeAll, describe, expect, it } from '@jest/globals';
import { compileBpf } from '../../test/compile-bpf.js';
import { everyRelocation } from '../../test/core-objects.js';
import { kernelBtf } from '../../test/kernels.js';
import { readObject } from '../object/object.js';
import type { Btf } from '../types/btf.js';
import { parseBtf } from '../types/parse.js';
import { InstructionView, OPCODE } from './instruction.js';
import { essentialName } from './names.js';
import { patchInstructions } from './patch.js';
import { RELOCATION_KINDS } from './relocation.js';
import { resolveCoreRelocations } from './resolve.js';

type Target = 'bpfel' | 'bpfeb';

const FIELD = `
#define ASK(x, what) __builtin_preserve_field_info(x, what)
volatile __u64 sink;
`;

function objectOf(source: string, target: Target = 'bpfel') {
  return readObject(compileBpf(FIELD + source, target));
}

/** A kernel, as far as these tests need one: a variable brings each type into BTF. */
function kernelOf(source: string, target: Target = 'bpfel'): Btf {
  return readObject(compileBpf(source, target)).btf;
}

/** Kind and access path → value, or the outcome and why. */
function answers(source: string, kernel: Btf, target: Target = 'bpfel') {
  return resolveCoreRelocations(objectOf(source, target), kernel).relocations.map(
    ({ relocation, outcome, value, reason }) => [relocation.kind, outcome === 'resolved' ? value : outcome, reason],
  );
}

const reading = (struct: string, expression: string) =>
  `${struct} SEC("raw_tp/x") int p(struct s *s) { sink = ${expression}; return 0; }`;
const pushed = (text: string) =>
  `#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)\n${text}\n#pragma clang attribute pop\n`;

describe('essentialName', () => {
  it.each([
    ['task_struct___old', 'task_struct'],
    ['a___b___c', 'a___b'],
    ['plain', 'plain'],
    ['___x', '___x'],
    ['a____b', 'a____b'],
    ['a___', 'a___'],
    ['a___b', 'a'],
  ])('of %s is %s', (name, essential) => expect(essentialName(name)).toBe(essential));
});

describe('resolveCoreRelocations', () => {
  it('meets every kind of relocation in the object of the differential test', () => {
    const kinds = new Set(readObject(everyRelocation()).coreRelocations.map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual([...RELOCATION_KINDS].sort());
  });

  it.each(['bpfel', 'bpfeb'] as const)(
    'finds bitfields with the word, the shifts and the sign of the kernel (%s)',
    (target) => {
      const kernel = kernelOf('struct s { __u32 before; __s32 a : 5; __u32 gap : 20, b : 9; } s;', target);
      const asked = [0, 1, 3, 4, 5].map((what) => `ASK(s->b, ${what})`).join(' + ');
      const source = reading(pushed('struct s { __u32 b : 9; };'), asked);
      const byKind = Object.fromEntries(answers(source, kernel, target).map(([kind, value]) => [kind, value]));
      // b begins at bit 64 of the struct: gap has filled its word.
      expect(byKind).toEqual({
        field_byte_offset: 8n,
        field_byte_size: 4n,
        field_signed: 0n,
        field_lshift_u64: target === 'bpfel' ? 55n : 32n,
        field_rshift_u64: 55n,
      });
      const signed = answers(reading(pushed('struct s { __s32 a : 5; };'), 'ASK(s->a, 3)'), kernel, target);
      expect(signed).toEqual([['field_signed', 1n, undefined]]);
    },
  );

  it('goes through anonymous structs and unions on both sides, and through typedefs', () => {
    const kernel = kernelOf(
      'typedef struct { int pad; union { struct { int x[3]; } in; }; } in_t; struct s { long l; in_t t; } s;',
    );
    const source = reading(pushed('struct s { struct { struct { struct { int x[3]; } in; }; } t; };'), 's->t.in.x[2]');
    expect(answers(source, kernel)).toEqual([['field_byte_offset', 20n, undefined]]);
  });

  it('says what became of a field', () => {
    const kernel = kernelOf(
      'struct task_struct { int __state; int _held; void *p; int few[2]; } t; struct bio { void *bi_bdev; } b; enum e { HERE = 1 } e; struct opaque *o;',
    );
    const ask = (type: string, field: string, what: string) => {
      const source = `${pushed(type)} SEC("raw_tp/x") int p(${what} *s) { sink = ${field}; return 0; }`;
      return answers(source, kernel).map(([, outcome, reason]) => [outcome, reason]);
    };
    const task = 'struct task_struct';
    expect(ask(`${task} { long state; };`, 's->state', task)).toEqual([
      ['poisoned', '`task_struct.state` is gone in this kernel; it has `__state` (since 5.14)'],
    ]);
    expect(ask(`${task}___old { long state; };`, 'ASK(s->state, 2)', `${task}___old`)).toEqual([
      [0n, '`task_struct.state` is gone in this kernel; it has `__state` (since 5.14)'],
    ]);
    expect(ask('struct bio { void *bi_disk; };', '(long)s->bi_disk', 'struct bio')[0]?.[1]).toMatch(
      /`bi_bdev` \(since 5.12\)/,
    );
    expect(ask(`${task} { int held; };`, 's->held', task)[0]?.[1]).toBe(
      '`task_struct.held` is gone in this kernel; it has `_held`',
    );
    expect(ask(`${task} { int never; };`, 's->never', task)[0]?.[1]).toBe(
      '`task_struct` has no `never` in this kernel',
    );
    expect(ask(`${task} { int p; };`, 's->p', task)[0]?.[1]).toBe(
      '`task_struct.p` is a pointer in this kernel, and the program expects an integer of 4 bytes',
    );
    expect(ask(`${task} { int few[9]; };`, 's->few[7]', task)[0]?.[1]).toBe(
      '`task_struct.few` has only 2 elements in this kernel, and the program wants number 7',
    );
    expect(ask('struct gone { int a; };', 's->a', 'struct gone')[0]?.[1]).toBe(
      'there is no type `struct gone` in this kernel',
    );
    expect(ask('struct e { int a; };', 's->a', 'struct e')[0]?.[1]).toBe(
      'this kernel has `e` as an enum, and the program expects a struct',
    );
  });

  it('trusts several types of one name only when they agree', () => {
    const agree = kernelOf('struct s { int x; int a; }; struct s___2 { int x; long b; }; struct s s; struct s___2 t;');
    const source = reading(pushed('struct s { int x; };'), 's->x');
    expect(answers(source, agree)).toEqual([['field_byte_offset', 0n, undefined]]);
    const differ = kernelOf('struct s { int x; }; struct s___2 { long b; int x; }; struct s s; struct s___2 t;');
    expect(answers(source, differ)).toEqual([
      ['field_byte_offset', 'refused', expect.stringMatching(/^the kernel has several `s.x`, at different offsets/)],
    ]);
  });

  it('names the function that holds each relocation, and takes only those that are asked for', () => {
    const kernel = parseBtf(kernelBtf('arm64-6.1'));
    const whole = resolveCoreRelocations(readObject(everyRelocation()), kernel);
    expect(whole.relocations.every(({ program }) => program !== undefined)).toBe(true);
    expect(whole.relocations.some(({ program }) => program === 'parent_of')).toBe(true);
    const one = resolveCoreRelocations(readObject(everyRelocation()), kernel, { programs: ['signed_long'] });
    expect(one.relocations.map(({ program }) => program)).toEqual(['signed_long']);
  });

  it('refuses a kernel of the other byte order', () => {
    const kernel = kernelOf('struct s { int x; } s;', 'bpfeb');
    expect(() => answers(reading(pushed('struct s { int x; };'), 's->x'), kernel)).toThrow(
      /little-endian object cannot run on a big-endian kernel/,
    );
  });
});

describe('patchInstructions', () => {
  let arm: Btf;
  beforeAll(() => {
    arm = parseBtf(kernelBtf('armhf-6.1'));
  });

  it.each(['bpfel', 'bpfeb'] as const)('writes offsets in the byte order of the object (%s)', (target) => {
    const kernel = kernelOf('struct s { char far[260]; int x; } s;', target);
    const object = objectOf(reading(pushed('struct s { int x; };'), 's->x'), target);
    const [program] = patchInstructions(object, resolveCoreRelocations(object, kernel)).programs;
    expect(new InstructionView(program?.instructions as Uint8Array, object.littleEndian).offset(0)).toBe(260);
  });

  it('makes loads of pointers and unsigned integers as small as the kernel has them, and poisons signed ones', () => {
    const source = `${pushed('struct task_struct { unsigned long nvcsw; void *stack; }; struct sock { long sk_rcvtimeo; };')}
SEC("raw_tp/x") int p(struct task_struct *t) { sink = t->nvcsw; return 0; }
SEC("raw_tp/y") int q(struct task_struct *t) { sink = (long)t->stack; return 0; }
SEC("raw_tp/z") int r(struct sock *s) { sink = s->sk_rcvtimeo; return 0; }`;
    const object = objectOf(source);
    const { programs, refusals } = patchInstructions(object, resolveCoreRelocations(object, arm));
    const views = programs.map(({ instructions }) => new InstructionView(instructions, true));
    expect(views.slice(0, 2).map((view) => view.memoryBytes(0))).toEqual([4, 4]);
    expect(programs.map(({ poisoned }) => poisoned)).toEqual([[], [], [0]]);
    expect(views[2]?.opcode(0)).toBe(OPCODE.call);
    expect(refusals).toEqual([]);
  });

  it('refuses offsets that no instruction can hold', () => {
    const kernel = kernelOf('struct s { char far[40000]; int x; } s;');
    const object = objectOf(reading(pushed('struct s { int x; };'), 's->x'));
    expect(patchInstructions(object, resolveCoreRelocations(object, kernel)).refusals).toMatchObject([
      { reason: 'the offset 40000 does not fit into an instruction' },
    ]);
  });

  it('leaves the object itself as it was', () => {
    const bytes = everyRelocation();
    const copy = bytes.slice();
    const object = readObject(bytes);
    patchInstructions(object, resolveCoreRelocations(object, arm));
    expect(bytes).toEqual(copy);
  });
});
