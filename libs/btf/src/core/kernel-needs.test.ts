import { expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { compileBpf } from '../../test/compile-bpf.js';
import { readObject } from '../object/object.js';
import { kernelTypeNeeds } from './kernel-needs.js';

const needsOf = (source: string) => kernelTypeNeeds(readObject(compileBpf(source)));

const TASK = `struct task_struct { int pid; } __attribute__((preserve_access_index));`;

describeWithKernel('what an object needs of its kernel’s types', ['clang'], () => {
  it('is nothing where it neither reads the kernel by its types nor attaches by them', () => {
    const needs = needsOf(
      `SEC("raw_tp/sys_enter") int p(void *c) { return 0; } SEC("xdp") int q(void *c) { return 2; }`,
    );
    expect(needs).toEqual({ relocations: 0, programs: [], symbols: [] });
  });

  it('is its relocations, which a tailored BTF serves', () => {
    const needs = needsOf(`${TASK} SEC("kprobe/x") int p(struct task_struct *t) { return t->pid; }`);
    expect(needs).toEqual({ relocations: 1, programs: [], symbols: [] });
  });

  it('is each hook that has a type id, unless the program is left out by itself', () => {
    const needs = needsOf(`
SEC("tp_btf/sys_enter") int a(void *c) { return 0; }
SEC("fentry.s/x") int b(void *c) { return 0; }
SEC("lsm/file_open") int c(void *c) { return 0; }
SEC("iter/task") int d(void *c) { return 0; }
SEC("struct_ops/ssthresh") int e(void *c) { return 0; }
SEC("?fexit/x") int f(void *c) { return 0; }
SEC("iterator_of_mine") int g(void *c) { return 0; }`);
    expect(needs.programs.map(({ section }) => section)).toEqual([
      'tp_btf/sys_enter',
      'fentry.s/x',
      'lsm/file_open',
      'iter/task',
      'struct_ops/ssthresh',
    ]);
  });

  it('is functions and variables of the kernel that are declared with a type', () => {
    const needs = needsOf(`
extern int bpf_task_release(void *task) __attribute__((section(".ksyms")));
extern const int runqueues __attribute__((section(".ksyms")));
extern const void jiffies __attribute__((section(".ksyms")));
SEC("raw_tp/x") int p(void *c) { return bpf_task_release(c) + runqueues + (&jiffies == c); }`);
    expect([...needs.symbols].sort()).toEqual(['bpf_task_release', 'runqueues']);
  });
});
