import { beforeAll, expect, it } from '@jest/globals';
import { parseBtf, readObject } from '@bpfleet/btf';
import { parseManifest } from '@bpfleet/probe';
import { missingCapabilities } from '@bpfleet/testkit';
import { FOREIGN_KERNELS, kernelBtf } from '../../../../../libs/btf/test/kernels.js';
import { BUILT_IN_PROBES, compileBuiltIn, compileForTest } from '../testing/compile-for-test.js';
import { describeWithJail } from '../testing/describe-with-jail.js';
import { DEFAULT_LINT_POLICY, lintObject } from './lint-object.js';
import { lintReads } from './read-sizes.js';
import type { KernelToLint } from './read-sizes.js';

const manifest = parseManifest('name: test_probe\nversion: 1.0.0\nsummary: a test\n');

function program(body: string): string {
  return `u64 sink;
SEC("raw_tp/sched_switch") int p(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = (void *)ctx->args[1];
  ${body}
  return 0; }
char LICENSE[] SEC("license") = "GPL";`;
}

describeWithJail('reads whose size is not the field’s', missingCapabilities(['clang', 'btf']), () => {
  const kernels: KernelToLint[] = [];
  beforeAll(() => {
    for (const name of FOREIGN_KERNELS) kernels.push({ name, btf: parseBtf(kernelBtf(name)) });
  });
  const kernel = (name: string): KernelToLint => kernels.find((one) => one.name === name) as KernelToLint;

  it('are errors for the kernel, with the line and what to write, and nothing for other kernels', async () => {
    const object = readObject(await compileForTest(program('sink = BPF_CORE_READ(task, nvcsw);')));
    expect(lintReads(object, kernel('armhf-6.1'))).toEqual([
      {
        severity: 'error',
        rule: 'read_size',
        message:
          'Program p, test.bpf.c:8, reads 8 bytes of task_struct.nvcsw, which has 4 on armhf-6.1, and gets garbage: ' +
          'write bpfleet_read(…), which reads it in the size that it has.',
        program: 'p',
      },
    ]);
    expect(lintReads(object, kernel('arm64-6.1'))).toEqual([]);
    expect(lintReads(object, kernel('arm64-5.10'))).toEqual([]);
  });

  it('are warnings while no kernel is named', async () => {
    const bytes = await compileForTest(
      program('sink = BPF_CORE_READ(task, nvcsw) + BPF_CORE_READ(task, mm, start_code);'),
    );
    expect(
      lintObject(bytes, manifest, DEFAULT_LINT_POLICY).map(({ severity, rule, message }) => [
        severity,
        rule,
        message.replace(/^.*?reads /, ''),
      ]),
    ).toEqual([
      [
        'warning',
        'read_size',
        expect.stringMatching(/^8 bytes of task_struct.nvcsw, which has 4 on kernels of 32 bits, .*bpfleet_read\(/),
      ],
      ['warning', 'read_size', expect.stringMatching(/^8 bytes of task_struct.mm, .*bpfleet_read_pointer\(/)],
      ['warning', 'read_size', expect.stringMatching(/^8 bytes of mm_struct.start_code, .*bpfleet_read\(/)],
    ]);
  });

  it.each([
    ['bpfleet_read', 'sink = bpfleet_read(task, nvcsw);'],
    ['bpfleet_read_pointer', 'sink = (u64)bpfleet_read_pointer(task, mm);'],
    ['BPF_CORE_READ_BITFIELD_PROBED', 'sink = BPF_CORE_READ_BITFIELD_PROBED(task, nvcsw);'],
    ['a field of fixed width', 'sink = BPF_CORE_READ(task, pid) + BPF_CORE_READ(task, start_time);'],
    [
      'both sizes, each behind a question',
      'if (bpf_core_field_size(task->nvcsw) == 4) { u32 low; bpf_core_read(&low, 4, &task->nvcsw); sink = low; } else sink = BPF_CORE_READ(task, nvcsw);',
    ],
  ])('are not seen in %s', async (_what, body) => {
    const bytes = await compileForTest(program(body));
    expect(lintObject(bytes, manifest, DEFAULT_LINT_POLICY)).toEqual([]);
    for (const one of kernels) expect(lintReads(readObject(bytes), one)).toEqual([]);
  });

  it('are seen where a signed long is read directly, which libbpf makes invalid', async () => {
    const body = `u64 sink; SEC("tp_btf/sys_enter") int BPF_PROG(p, struct pt_regs *regs, long id) {
      struct task_struct *task = (void *)bpf_get_current_task_btf(); sink = task->utime + task->min_flt; struct sock *sk = (void *)id; sink += sk->sk_rcvtimeo; return 0; }
      char LICENSE[] SEC("license") = "GPL";`;
    const source = `#include <bpf/bpf_tracing.h>\n${body}`;
    const findings = lintReads(readObject(await compileForTest(source)), kernel('armhf-6.1'));
    expect(findings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/touches sock.sk_rcvtimeo directly with 8 bytes, and it has 4 on armhf-6.1, .* invalid/),
    ]);
  });

  it.each(BUILT_IN_PROBES)('are not in %s, on any kernel that is kept', async (name) => {
    const object = readObject(await compileBuiltIn(name));
    for (const one of kernels) expect([one.name, lintReads(object, one)]).toEqual([one.name, []]);
  });
});
