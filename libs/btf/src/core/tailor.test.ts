import { beforeAll, describe, expect, it } from '@jest/globals';
import { compileBpf } from '../../test/compile-bpf.js';
import { everyRelocation } from '../../test/core-objects.js';
import { FOREIGN_KERNELS, kernelBtf } from '../../test/kernels.js';
import { readObject } from '../object/object.js';
import type { BpfObjectFile } from '../object/types.js';
import type { Btf } from '../types/btf.js';
import { parseBtf } from '../types/parse.js';
import { resolveCoreRelocations } from './resolve.js';
import { tailorBtf } from './tailor.js';

/** What a program can see of a resolution; ids of the running kernel's types are the tailored BTF's own. */
function answers(object: BpfObjectFile, target: Btf): unknown[] {
  return resolveCoreRelocations(object, target).relocations.map((resolved) => {
    const { relocation, outcome, value, resizeUnsafe } = resolved;
    const isId = relocation.kind === 'type_id_target' && value !== 0n;
    const load = [resolved.target?.found.loadBytes, resolved.target?.offsetBits, resolved.target?.path];
    return [relocation.kind, relocation.access, outcome, isId ? 'id' : value, resizeUnsafe, ...load];
  });
}

describe.each(FOREIGN_KERNELS)('a BTF tailored for %s', (kernel) => {
  let object: BpfObjectFile;
  let whole: Btf;
  let tailored: Uint8Array;
  beforeAll(() => {
    object = readObject(everyRelocation());
    whole = parseBtf(kernelBtf(kernel));
    tailored = tailorBtf(object, whole);
  });

  it('gives every relocation the same answer as the whole', () => {
    expect(answers(object, parseBtf(tailored))).toEqual(answers(object, whole));
  });

  it('keeps the size of pointers, and fits into a packet', () => {
    expect(parseBtf(tailored).pointerBytes).toBe(whole.pointerBytes);
    expect(tailored.length).toBeLessThan(64 * 1024);
  });

  it('is a few hundred bytes for a probe that reads a few fields', () => {
    const source = `
struct task_struct { int pid; struct task_struct *real_parent; char comm[16]; } __attribute__((preserve_access_index));
SEC("raw_tp/x") int p(struct task_struct *t) { return t->real_parent->pid + t->comm[3]; }`;
    const few = readObject(compileBpf(source));
    const bytes = tailorBtf(few, whole);
    expect(bytes.length).toBeLessThan(700);
    expect(answers(few, parseBtf(bytes))).toEqual(answers(few, whole));
  });
});

describe('tailorBtf', () => {
  const kernelOf = (source: string) => readObject(compileBpf(source)).btf;

  it('keeps an array of no elements flexible only where it was', () => {
    const kernel = kernelOf(`
struct s { int n; int none[0]; int last; }; struct f { int n; int tail[]; };
struct s s; struct f f; unsigned long l;`);
    const object = readObject(
      compileBpf(`
struct s { int none[4]; } __attribute__((preserve_access_index)); struct f { int tail[4]; } __attribute__((preserve_access_index));
SEC("raw_tp/x") int p(struct s *s) { return __builtin_preserve_field_info(s->none, 0) + s->none[2]; }
SEC("raw_tp/y") int q(struct f *f) { return f->tail[3]; }`),
    );
    const before = answers(object, kernel);
    expect(before.map((answer) => (answer as unknown[])[2])).toEqual(['poisoned', 'resolved', 'resolved']);
    expect(answers(object, parseBtf(tailorBtf(object, kernel)))).toEqual(before);
  });

  it('refuses what libbpf would refuse, and says why', () => {
    const kernel = kernelOf('struct a { int x; }; struct a___b { int y; int x; }; struct a a; struct a___b b;');
    const object = readObject(
      compileBpf(
        `struct a { int x; } __attribute__((preserve_access_index)); SEC("raw_tp/x") int p(struct a *a) { return a->x; }`,
      ),
    );
    expect(() => tailorBtf(object, kernel)).toThrow(/several `a.x`, at different offsets/);
  });
});
