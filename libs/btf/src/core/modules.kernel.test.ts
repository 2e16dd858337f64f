import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { compileBpf } from '../../test/compile-bpf.js';
import { kernelBtf } from '../../test/kernels.js';
import { Libbpf } from '../../test/libbpf.js';
import { joined, moduleBtf } from '../../test/module-btf.js';
import { readObject } from '../object/object.js';
import type { BpfObjectFile } from '../object/types.js';
import type { Btf } from '../types/btf.js';
import { parseBtf } from '../types/parse.js';
import { InstructionView } from './instruction.js';
import { patchInstructions } from './patch.js';
import type { CoreResolution } from './resolve.js';
import { resolveCoreRelocations } from './resolve.js';
import { tailorBtf } from './tailor.js';

const MODULE = `
struct list_head { struct list_head *next, *prev; };
struct task_struct { int not_the_real_one; };
struct mod_private { struct list_head list; struct task_struct *owner; int state : 5; struct { unsigned long hits; char name[16]; } inner; };
enum mod_mode { MOD_OFF, MOD_ON = 7 };
struct mod_private instance; enum mod_mode mode; struct task_struct decoy;`;
const OTHER_MODULE = `struct task_struct; struct mod_private { struct task_struct *owner; struct { unsigned long hits; } inner; }; struct mod_private instance;`;

const OBJECT = `
#define ASK(x, what) __builtin_preserve_field_info(x, what)
volatile __u64 sink;
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct task_struct { int pid; };
struct mod_private { struct task_struct *owner; int state : 5; struct { unsigned long hits; char name[4]; } inner; };
enum mod_mode { MOD_OFF, MOD_ON };
#pragma clang attribute pop
SEC("raw_tp/x") int p(struct mod_private *m) {
	sink = m->owner->pid + m->inner.hits + m->inner.name[3] + ASK(m->state, 0) + ASK(m->state, 1) + ASK(m->state, 4) + ASK(m->state, 5);
	sink += __builtin_preserve_type_info(*m, 0) + __builtin_preserve_type_info(*m, 1) + __builtin_preserve_enum_value(*(enum mod_mode *)MOD_ON, 1);
	return 0; }`;

describeWithKernel('a kernel and its modules', ['clang', 'pahole'], () => {
  let kernelBytes: Uint8Array;
  let moduleBytes: Uint8Array;
  let kernel: Btf;
  let module: Btf;
  let bytes: Uint8Array;
  let object: BpfObjectFile;
  beforeAll(() => {
    kernelBytes = kernelBtf('arm64-6.12');
    moduleBytes = moduleBtf(MODULE, kernelBytes);
    kernel = parseBtf(kernelBytes);
    module = parseBtf(moduleBytes, kernel);
    bytes = compileBpf(OBJECT);
    object = readObject(bytes);
  });

  const values = ({ relocations }: CoreResolution): unknown[] =>
    relocations.map(({ relocation, value, outcome, reason }) => [relocation.kind, value ?? outcome, reason]);

  it('are read as one: what the kernel has is the kernel’s', () => {
    const own = module.findByName('struct', 'mod_private');
    expect(own?.id).toBeGreaterThanOrEqual(kernel.typeCount);
    expect(own?.members.map(({ name, offsetBits }) => [name, offsetBits])).toEqual([
      ['list', 0],
      ['owner', 128],
      ['state', 192],
      ['inner', 256],
    ]);
    expect(module.resolve(own?.members[0]?.typeId ?? 0).id).toBe(kernel.findByName('struct', 'list_head')?.id);
    expect(module.printC(own?.id ?? 0)).toContain('struct task_struct *owner;\n\tint state: 5;');
  });

  it('give a type of the module to who asks for it, and the kernel’s own type before a module’s', () => {
    const without = resolveCoreRelocations(object, kernel);
    const pid = without.relocations.find(({ target }) => target?.path === 'task_struct.pid');
    expect(without.relocations.filter(({ target }) => target !== undefined)).toEqual([pid]);
    expect(
      without.relocations.some(({ reason }) => reason === 'there is no type `struct mod_private` in this kernel'),
    ).toBe(true);
    const whole = resolveCoreRelocations(object, kernel, { modules: [module] });
    expect(whole.relocations.every(({ outcome, target }) => outcome === 'resolved' && target !== undefined)).toBe(true);
    expect(whole.relocations.find(({ target }) => target?.path === 'task_struct.pid')?.value).toBe(pid?.value);
    expect(whole.relocations.find(({ target }) => target?.path === 'mod_private.inner.name[3]')?.value).toBe(43n);
    expect(values(resolveCoreRelocations(object, module))).toEqual(values(whole));
  });

  it('refuse what two modules have at different places', () => {
    const other = parseBtf(moduleBtf(OTHER_MODULE, kernelBytes), kernel);
    const { relocations } = resolveCoreRelocations(object, kernel, { modules: [module, other] });
    const several = relocations.filter(({ reason }) => reason?.startsWith('the kernel has several `'));
    expect(several.map(({ outcome, local }) => [outcome, local?.path])).toEqual([
      ['refused', 'mod_private.owner'],
      ['refused', 'mod_private.inner.hits'],
      ['refused', 'mod_private'],
    ]);
    // What only one of them has is not in doubt.
    expect(relocations.find(({ target }) => target?.path === 'mod_private.inner.name[3]')?.value).toBe(43n);
  });

  it('refuse a module of another kernel', () => {
    const elsewhere = parseBtf(moduleBytes, parseBtf(kernelBytes));
    expect(() => resolveCoreRelocations(object, kernel, { modules: [elsewhere] })).toThrow(/another base/);
  });

  it('make a tailored BTF that gives the same instructions', () => {
    const tailored = parseBtf(tailorBtf(object, module));
    const code = (target: Btf): unknown => patchInstructions(object, resolveCoreRelocations(object, target)).programs;
    expect(code(tailored)).toEqual(code(module));
  });
});

describeWithKernel('a module’s types, as libbpf finds them', ['root', 'clang', 'pahole', 'libbpf_source'], () => {
  let libbpf: Libbpf;
  beforeAll(() => {
    libbpf = new Libbpf();
  });
  afterAll(() => libbpf.close());

  // The decoy is left out: in one BTF there is no saying whose type it is.
  const source = MODULE.replace('struct task_struct { int not_the_real_one; };', 'struct task_struct;').replace(
    'struct task_struct decoy;',
    '',
  );

  it('have the places that libbpf gives them', () => {
    const kernelBytes = kernelBtf('arm64-6.12');
    const moduleBytes = moduleBtf(source, kernelBytes);
    const bytes = compileBpf(OBJECT);
    const object = readObject(bytes);
    const kernel = parseBtf(kernelBytes);
    const module = parseBtf(moduleBytes, kernel);
    const theirs = libbpf.prepare(bytes, joined(kernelBytes, moduleBytes));
    expect(theirs.refusal).toBeUndefined();
    const resolution = resolveCoreRelocations(object, kernel, { modules: [module] });
    const [ours] = patchInstructions(object, resolution).programs;
    const code = ours?.instructions ?? new Uint8Array();
    const reference = theirs.programs.get('p') ?? new Uint8Array();
    const view = new InstructionView(reference, true);
    for (let at = 0; at < view.count; at += 1) {
      // Where `sink` lies is the loader's business.
      if (view.isLoadImmediate64(at)) at += 1;
      else expect([at, code.subarray(at * 8, at * 8 + 8)]).toEqual([at, reference.subarray(at * 8, at * 8 + 8)]);
    }
    expect(code.length).toBe(reference.length);
  });

  it('are the same C', () => {
    const kernelBytes = kernelBtf('arm64-6.12');
    const moduleBytes = moduleBtf(source, kernelBytes);
    const module = parseBtf(moduleBytes, parseBtf(kernelBytes));
    const text = libbpf.printC(moduleBytes, kernelBytes);
    const spaced = (c: string): string => c.replaceAll(/\s+/g, ' ').trim();
    const definition = /struct mod_private \{[\s\S]*?^\};/m.exec(text)?.[0] ?? '';
    expect(spaced(module.printC(module.findByName('struct', 'mod_private')?.id ?? 0))).toBe(spaced(definition));
  });
});
