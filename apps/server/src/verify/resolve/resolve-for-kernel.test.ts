import { beforeAll, expect, it } from '@jest/globals';
import { BtfError, parseBtf, type Btf } from '@bpfleet/btf';
import { describeWithKernel } from '@bpfleet/testkit';
import { compileCore, READS_ELSEWHERE, READS_LONG, READS_PID } from '../../features/kernels/testing/core-object.js';
import { foreignBtf } from '../../features/kernels/testing/kernel-btf.js';
import { resolveForKernel } from './resolve-for-kernel.js';

describeWithKernel('what a kernel would make of an object, by its types alone', ['clang'], () => {
  let arm64: Btf;
  let arm: Btf;
  beforeAll(() => {
    arm64 = parseBtf(foreignBtf('arm64-6.1'));
    arm = parseBtf(foreignBtf('armhf-6.1'));
  });

  it('is nothing, where every field is there and has its size', () => {
    const object = compileCore(READS_PID);
    for (const btf of [arm64, arm]) {
      expect(resolveForKernel(object, btf)).toEqual({ ok: true, unresolved: [], mismatches: [], needs: [] });
    }
  });

  it('names what is gone, what it is called now and the line that uses it, once for each program', () => {
    const object = compileCore(
      'SEC("raw_tp/x") int p(struct task_struct___old *t) { return t->state + ((struct task_struct___old *)t->state)->state; }',
    );
    const { ok, unresolved } = resolveForKernel(object, arm64);
    expect(ok).toBe(false);
    const sentence = expect.stringMatching(/^Program p, p\.bpf\.c:9: .*`__state`/);
    expect(unresolved).toMatchObject([{ kind: 'poison', program: 'p', sentence }]);
  });

  it('leaves open whether a module has a type that the kernel itself has not, where modules are looked at', () => {
    const object = compileCore(READS_ELSEWHERE);
    const kinds = (showsBtf: boolean) =>
      resolveForKernel(object, arm64, { showsBtf }).unresolved.map(({ kind, sentence }) => [kind, sentence]);
    const sentence = expect.stringMatching(/^Program p, p\.bpf\.c:\d+: there is no type `struct no_such_here`/);
    expect(kinds(true)).toEqual([['type_elsewhere', sentence]]);
    expect(kinds(false)).toEqual([['poison', sentence]]);
  });

  it('names the line that reads what is gone by a helper, and not the one before it', () => {
    const object = compileCore(`SEC("raw_tp/x") int p(struct task_struct___old *t) {
  long state = 0;
  if (!t)
    return 1;
  probe_read(&state, sizeof(state), &t->state);
  return state; }`);
    expect(resolveForKernel(object, arm64).unresolved).toMatchObject([
      { sentence: expect.stringMatching(/^Program p, p\.bpf\.c:13: .*`__state`/) },
    ]);
  });

  it('does not mind what a program asks about before it uses it', () => {
    const object = compileCore(
      'SEC("raw_tp/x") int p(struct task_struct___old *t) { return EXISTS(t->state) ? t->state : 0; }',
    );
    expect(resolveForKernel(object, arm64).ok).toBe(true);
  });

  it('does not mind what is in a program that nobody loads', () => {
    const optional = 'SEC("?raw_tp/y") int q(struct task_struct___old *t) { return t->state; }';
    expect(resolveForKernel(compileCore(`${READS_PID} ${optional}`), arm64).ok).toBe(true);
  });

  it('names reads that give garbage on a 32-bit kernel, with their line, and takes them elsewhere', () => {
    const object = compileCore(READS_LONG);
    expect(resolveForKernel(object, arm64).ok).toBe(true);
    const { ok, mismatches } = resolveForKernel(object, arm);
    expect(ok).toBe(false);
    expect(mismatches).toMatchObject([
      { program: 'p', field: 'task_struct.nvcsw', sentence: expect.stringMatching(/p\.bpf\.c:\d+.*8 bytes.*has 4/) },
    ]);
  });

  it('names hooks that need the kernel to show its types, where it shows none', () => {
    const object = compileCore('SEC("tp_btf/sys_enter") int p(struct task_struct *t) { return 0; }');
    expect(resolveForKernel(object, arm).ok).toBe(true);
    const { ok, needs } = resolveForKernel(object, arm, { showsBtf: false });
    expect([ok, needs.map(({ program }) => program)]).toEqual([false, ['p']]);
  });

  it('refuses what is no object', () => {
    expect(() => resolveForKernel(Buffer.from('hello'), arm64)).toThrow(BtfError);
  });
});
