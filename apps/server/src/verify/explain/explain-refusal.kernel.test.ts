import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { missingCapabilities } from '@bpfleet/testkit';
import { ProveJail } from '../prove/prove-jail.js';
import { BUILT_IN_PROBES, compileBuiltIn, compileForTest, PREAMBLE } from '../testing/compile-for-test.js';
import { describeWithJail } from '../testing/describe-with-jail.js';
import { explainReport } from './explain-report.js';

const verifierMain = fileURLToPath(new URL('../../../../verifier/dist/main.js', import.meta.url));
const GPL = 'char LICENSE[] SEC("license") = "GPL";';
const MAPS = `struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64[4]); } m SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } ring SEC(".maps");
`;
const LOOKUP = 'u32 key = 1;\n  u64 *v = bpf_map_lookup_elem(&m, &key);';
const raw = (body: string) => `SEC("raw_tp/sys_enter")\nint p(struct bpf_raw_tracepoint_args *ctx)\n{\n  ${body}\n}\n`;
const xdp = (body: string) => `SEC("xdp")\nint p(struct xdp_md *ctx)\n{\n  ${body}\n}\n`;

/** [class, part of the sentence, the line that is pointed at, C]. */
const REFUSED: [string, RegExp, string | undefined, string][] = [
  ['null_unchecked', /map value/, 'return *v;', raw(`${LOOKUP}\n  return *v;`)],
  [
    'out_of_bounds',
    /no bound/,
    'return v[ctx->args[1]];',
    raw(`${LOOKUP}\n  if (!v)\n    return 0;\n  return v[ctx->args[1]];`),
  ],
  [
    'out_of_bounds',
    /32 to 39 of a map value that has 32/,
    'return v[i];',
    raw(`${LOOKUP}\n  if (!v)\n    return 0;\n  u64 i = ctx->args[1];\n  if (i > 4)\n    return 0;\n  return v[i];`),
  ],
  [
    'untrusted_pointer',
    /vouch/,
    'return task->pid;',
    raw('struct task_struct *task = (void *)ctx->args[0];\n  return task->pid;'),
  ],
  [
    'packet_bounds_unchecked',
    /offset 14/,
    'return data[14];',
    xdp('char *data = (void *)(long)ctx->data;\n  return data[14];'),
  ],
  [
    'too_complex',
    /1000001/,
    undefined,
    raw('u64 sum = 0;\n  for (int i = 0; i < 10000000; i++)\n    sum += bpf_ktime_get_ns();\n  return sum;'),
  ],
  ['unreachable_code', /never be reached/, undefined, raw('asm volatile("1: goto 1b");\n  return 0;')],
  [
    'reference_unreleased',
    /given back/,
    'u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);',
    raw('u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);\n  if (!e)\n    return 0;\n  *e = 1;\n  return 0;'),
  ],
  ['uninitialised', /never set/, 'asm volatile("r0 = r7");', raw('asm volatile("r0 = r7");\n  return 0;')],
  [
    'misaligned_access',
    /multiple of 8/,
    'asm volatile("r1 = 0; *(u64 *)(r10 - 8) = r1; r0 = *(u64 *)(r10 - 5);" ::: "r0", "r1");',
    raw('asm volatile("r1 = 0; *(u64 *)(r10 - 8) = r1; r0 = *(u64 *)(r10 - 5);" ::: "r0", "r1");\n  return 0;'),
  ],
  [
    'helper_not_allowed',
    /bpf_probe_write_user/,
    'return bpf_probe_write_user((void *)1, b, 0);',
    xdp('char b[8] = {};\n  return bpf_probe_write_user((void *)1, b, 0);'),
  ],
  [
    'unknown_helper',
    /9999/,
    'return (nope)(1);',
    `static long (*nope)(int) = (void *)9999;\n${xdp('return (nope)(1);')}`,
  ],
  ['context_access', /offset 200/, 'return *(u32 *)((char *)ctx + 200);', xdp('return *(u32 *)((char *)ctx + 200);')],
  [
    'wrong_argument',
    /must be: map_ptr/,
    'return bpf_map_update_elem(ctx, k, k, 0);',
    raw('u64 k[2] = {};\n  return bpf_map_update_elem(ctx, k, k, 0);'),
  ],
  [
    'sleeps',
    /may sleep/,
    'return bpf_copy_from_user(b, 16, (void *)ctx->args[0]);',
    raw('char b[16] = {};\n  return bpf_copy_from_user(b, 16, (void *)ctx->args[0]);'),
  ],
  ['return_value', /may return/, undefined, 'SEC("cgroup/connect4")\nint p(void *ctx)\n{\n  return 7;\n}\n'],
  [
    'kernel_type_missing',
    /no `struct task_struct___x\.gone`/,
    undefined,
    `struct task_struct___x { int gone; } __attribute__((preserve_access_index));\n${raw('struct task_struct___x *task = (void *)bpf_get_current_task();\n  return BPF_CORE_READ(task, gone);')}`,
  ],
  [
    'kernel_target_missing',
    /no_such_tracepoint/,
    undefined,
    'SEC("tp_btf/no_such_tracepoint")\nint p(void *ctx)\n{\n  return 0;\n}\n',
  ],
  [
    'kernel_function_missing',
    /no_such_kfunc/,
    undefined,
    `extern int no_such_kfunc(int) __ksym;\n${raw('return no_such_kfunc(1);')}`,
  ],
];

describeWithJail('explanations of this kernel', missingCapabilities(['root', 'bpf', 'btf', 'clang']), () => {
  const jail = new ProveJail({ verifierMain });

  it('has a built verifier (npm run build)', () => {
    expect(existsSync(verifierMain)).toBe(true);
  });

  it.each(BUILT_IN_PROBES)('accepts %s', async (name) => {
    const report = await jail.prove(await compileBuiltIn(name));
    expect(report).toMatchObject({ verdict: 'accepted', kernel: { btf: true } });
    for (const program of report.programs) expect(program.verifiedInstructions).toBeGreaterThan(0);
    expect(explainReport(report, Buffer.alloc(0))).toEqual([]);
  });

  it.each(REFUSED)('%s: %s at %s', async (refusalClass, sentence, line, body) => {
    const source = `${MAPS}${body}${GPL}\n`;
    const object = await compileForTest(source);
    const [explained] = explainReport(await jail.prove(object), object);
    expect(explained?.class).toBe(refusalClass);
    expect(explained?.sentence).toMatch(sentence);
    if (line === undefined) return;
    const lines = `${PREAMBLE}${source}`.split('\n').map((text) => text.trim());
    expect(explained?.source).toEqual({ file: 'test.bpf.c', line: lines.indexOf(line) + 1, text: line });
  });

  it('licence_missing', async () => {
    const object = await compileForTest(
      `${raw('char b[8];\n  return bpf_probe_read_kernel(b, 8, ctx);')}char LICENSE[] SEC("license") = "Proprietary";\n`,
    );
    const [explained] = explainReport(await jail.prove(object), object);
    expect(explained).toMatchObject({ class: 'licence_missing', program: 'p' });
  });

  it('proves with the globals that it is given', async () => {
    const body = `const volatile u32 limit = 1;\n${raw('u64 sum = 0;\n  for (u32 i = 0; i < limit; i++)\n    sum += bpf_ktime_get_ns();\n  return sum;')}${GPL}\n`;
    const object = await compileForTest(body);
    const limit = Buffer.alloc(4);
    await expect(jail.prove(object)).resolves.toMatchObject({ verdict: 'accepted' });
    limit.writeUInt32LE(10_000_000);
    await expect(jail.prove(object, { '.rodata': limit })).resolves.toMatchObject({ verdict: 'refused' });
  });

  it('says what is wrong with an object that cannot be opened', async () => {
    await expect(jail.prove(Buffer.from('no object'))).rejects.toMatchObject({
      code: 'PROVE_FAILED',
      reason: 'request',
    });
  });
});
