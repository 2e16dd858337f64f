import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { parseElf } from '@bpfleet/btf';
import { describeWithKernel } from '@bpfleet/testkit';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { VerifierReport } from './report.js';

// The process itself is under test, as built.
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const prelude = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u64);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} verifier_test_counts SEC(".maps");
const volatile __u32 divisor = 7;
`;

const good = `${prelude}
static __attribute__((noinline)) int weigh(__u64 *scratch, __u32 key) { scratch[0] += key; return scratch[0]; }
SEC("tracepoint/raw_syscalls/sys_enter")
int counts(void *ctx)
{
  __u32 key = bpf_ktime_get_ns() % divisor;
  __u64 scratch[4] = { key, key, key, key };
  __u64 *value = bpf_map_lookup_elem(&verifier_test_counts, &key);
  if (value)
    *value += weigh(scratch, key);
  return 0;
}
`;

// No kernel has this field: only types that are given can say where it is.
const relocated = `${prelude}
struct task_struct { int bpfleet_no_such_field; } __attribute__((preserve_access_index));
SEC("raw_tp/sys_enter")
int reads(struct { struct task_struct *task; } *ctx)
{
  int value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), &ctx->task->bpfleet_no_such_field);
  return value;
}
`;
const types = `
struct task_struct { unsigned long before; int bpfleet_no_such_field; } task;
`;

const mixed = `${good}
SEC("xdp")
int out_of_bounds(struct xdp_md *ctx)
{
  char *data = (void *)(long)ctx->data;
  return data[100];
}
SEC("?xdp")
int optional(struct xdp_md *ctx)
{
  return XDP_PASS;
}
`;

describeWithKernel('the verifier process', ['root'], () => {
  let folder: string;
  let goodObject: string;
  let mixedObject: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'verifier-'));
    goodObject = compile('good', good);
    mixedObject = compile('mixed', mixed);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** libbpf 1.1 dies of such an object. */
  function withTypeIdOutOfRange(object: string): string {
    const bytes = Buffer.from(object, 'base64');
    const btf = bytes.indexOf(Buffer.from('9feb010018000000', 'hex'));
    // The first type is a pointer (to the map's definition): three words, of which the last is the type id.
    bytes.writeUInt32LE(0x00ff_ffff, btf + 24 + 8);
    return bytes.toString('base64');
  }

  function compile(name: string, source: string, debug = ['-g']): string {
    const object = join(folder, `${name}.bpf.o`);
    const multiarch = execFileSync('cc', ['-print-multiarch'], { encoding: 'utf8' }).trim();
    const include = ['-I', `/usr/include/${multiarch}`];
    const file = join(folder, `${name}.bpf.c`);
    writeFileSync(file, source);
    execFileSync('clang', ['-target', 'bpf', '-O2', ...debug, ...include, '-c', file, '-o', object]);
    return readFileSync(object).toString('base64');
  }

  function run(request: unknown): { status: number | null; stdout: string; stderr: string } {
    const input = typeof request === 'string' ? request : JSON.stringify(request);
    return spawnSync(process.execPath, [main], { input, encoding: 'utf8', maxBuffer: 1 << 26 });
  }

  function report(request: unknown): VerifierReport {
    const { status, stdout, stderr } = run(request);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')).toHaveLength(2);
    return JSON.parse(stdout) as VerifierReport;
  }

  it('accepts a good object and measures it', () => {
    const verdict = report({ objectBase64: goodObject });
    expect(verdict).toMatchObject({
      verdict: 'accepted',
      kernel: { arch: expect.any(String), btf: expect.any(Boolean) },
    });
    expect(verdict.reason).toBeUndefined();
    expect(verdict.loadMs).toBeGreaterThan(0);
    expect(verdict.programs).toMatchObject([
      { name: 'counts', section: 'tracepoint/raw_syscalls/sys_enter', type: 'tracepoint', verdict: 'accepted' },
    ]);
    const [counts] = verdict.programs;
    expect(counts?.instructionCount).toBeGreaterThan(10);
    expect(counts?.verifiedInstructions).toBeGreaterThan(10);
    expect(counts?.stackDepthBytes).toBeGreaterThanOrEqual(32);
    expect(verdict.maps.map(({ name, type }) => [name, type])).toEqual(
      expect.arrayContaining([
        ['verifier_test_counts', 'array'],
        ['.rodata', 'array'],
      ]),
    );
    for (const map of verdict.maps) expect(map.bytes).toBeGreaterThan(0);
    expect(existsSync('/sys/fs/bpf/verifier_test_counts')).toBe(false);
  });

  it('gives every program of a refused object its own verdict', () => {
    const verdict = report({ objectBase64: mixedObject });
    expect(verdict.verdict).toBe('refused');
    expect(verdict.programs).toMatchObject([
      { name: 'counts', verdict: 'accepted' },
      { name: 'out_of_bounds', verdict: 'refused', errno: 13, errnoName: 'EACCES' },
      { name: 'optional', verdict: 'skipped' },
    ]);
    expect(verdict.programs[1]?.log).toContain('invalid access to packet');
    expect(verdict.programs[1]?.log).toContain('return data[100]');
  });

  it('loads what the request chooses', () => {
    const programs = { out_of_bounds: { autoload: false }, optional: { autoload: true } };
    const verdict = report({ objectBase64: mixedObject, programs });
    expect(verdict.verdict).toBe('accepted');
    expect(verdict.programs.map((program) => program.verdict)).toEqual(['accepted', 'skipped', 'accepted']);
  });

  it('proves with the globals of the request, which the verifier treats as constants', () => {
    const divisor = Buffer.alloc(4);
    divisor.writeUInt32LE(3);
    const verdict = report({ objectBase64: goodObject, globals: { '.rodata': divisor.toString('base64') } });
    expect(verdict.verdict).toBe('accepted');
  });

  it('blames no program for a map that cannot be made', () => {
    const object = compile('bad_map', good.replace('max_entries, 4', 'max_entries, 0'));
    const verdict = report({ objectBase64: object });
    expect(verdict).toMatchObject({
      verdict: 'refused',
      reason: expect.stringContaining("map 'verifier_test_counts'"),
      programs: [{ name: 'counts', verdict: 'skipped', errnoName: 'EINVAL' }],
    });
  });

  it('relocates by the BTF of the request, and without it by the kernel', () => {
    const objectBase64 = compile('relocated', relocated);
    const bytes = parseElf(Buffer.from(compile('types', types), 'base64')).section('.BTF')?.data ?? new Uint8Array(0);
    const btfBase64 = Buffer.from(bytes).toString('base64');
    expect(report({ objectBase64 }).programs).toMatchObject([{ name: 'reads', verdict: 'refused' }]);
    expect(report({ objectBase64, btfBase64 }).programs).toMatchObject([{ name: 'reads', verdict: 'accepted' }]);
  });

  it('says that a hook is missing without blaming the program', () => {
    const object = compile('nowhere', good.replace('raw_syscalls/sys_enter', 'raw_syscalls/no_such_event'));
    const verdict = report({ objectBase64: object });
    expect(verdict.programs[0]?.verdict).toBe(existsSync('/sys/kernel/tracing/events') ? 'unsupported' : 'accepted');
  });

  it('is unable, and says why, without the capabilities', () => {
    const drop = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, main];
    const ended = spawnSync('setpriv', drop, { input: JSON.stringify({ objectBase64: goodObject }), encoding: 'utf8' });
    expect([ended.status, ended.stderr]).toEqual([0, '']);
    expect(JSON.parse(ended.stdout)).toMatchObject({
      verdict: 'unable',
      reason: expect.stringContaining('CAP_BPF'),
      programs: [{ name: 'counts', verdict: 'skipped' }],
    });
  });

  it.each([
    ['REQUEST_INVALID', () => 'not json'],
    ['OBJECT_INVALID', () => ({ objectBase64: Buffer.from('not an ELF').toString('base64') })],
    [
      'OBJECT_INVALID',
      () => ({ objectBase64: Buffer.from(goodObject, 'base64').subarray(0, 1002).toString('base64') }),
    ],
    ['OBJECT_INVALID', () => ({ objectBase64: withTypeIdOutOfRange(goodObject) })],
    ['OBJECT_INVALID', () => ({ objectBase64: compile('no_btf', good, []) })],
    ['BTF_INVALID', () => ({ objectBase64: goodObject, btfBase64: 'AAAA' })],
    ['UNKNOWN_NAME', () => ({ objectBase64: goodObject, programs: { nothing: { autoload: true } } })],
    ['UNKNOWN_NAME', () => ({ objectBase64: goodObject, globals: { '.data': '' } })],
    ['GLOBALS_INVALID', () => ({ objectBase64: goodObject, globals: { '.rodata': 'AA==' } })],
    ['GLOBALS_INVALID', () => ({ objectBase64: goodObject, globals: { verifier_test_counts: 'AA==' } })],
    ['REQUEST_TOO_LARGE', () => ' '.repeat(33 * 1024 * 1024)],
  ])('answers a bad request with %s and exit code 2', (code, request) => {
    const { status, stdout, stderr } = run(request());
    expect([status, stderr]).toEqual([2, '']);
    expect(JSON.parse(stdout)).toEqual({ error: { code, message: expect.any(String) } });
  });
});
