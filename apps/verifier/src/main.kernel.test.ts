import { beforeAll, expect, it } from '@jest/globals';
import { parseElf } from '@bpfleet/btf';
import { describeWithKernel } from '@bpfleet/testkit';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { VerifierReport } from './report.js';
import { compile, GOOD, MIXED, RELOCATED, TYPES } from './testing/objects.js';

// The process itself is under test, as built.
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
describeWithKernel('the verifier process', ['root'], () => {
  let goodObject: string;
  let mixedObject: string;

  beforeAll(() => {
    goodObject = compile(GOOD);
    mixedObject = compile(MIXED);
  });

  /** libbpf 1.1 dies of such an object. */
  function withTypeIdOutOfRange(object: string): string {
    const bytes = Buffer.from(object, 'base64');
    const btf = bytes.indexOf(Buffer.from('9feb010018000000', 'hex'));
    // The first type is a pointer (to the map's definition): three words, of which the last is the type id.
    bytes.writeUInt32LE(0x00ff_ffff, btf + 24 + 8);
    return bytes.toString('base64');
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
    const object = compile(GOOD.replace('max_entries, 4', 'max_entries, 0'));
    const verdict = report({ objectBase64: object });
    expect(verdict).toMatchObject({
      verdict: 'refused',
      reason: expect.stringContaining("map 'verifier_test_counts'"),
      programs: [{ name: 'counts', verdict: 'skipped', errnoName: 'EINVAL' }],
    });
  });

  it('relocates by the BTF of the request, and without it by the kernel', () => {
    const objectBase64 = compile(RELOCATED);
    const bytes = parseElf(Buffer.from(compile(TYPES), 'base64')).section('.BTF')?.data ?? new Uint8Array(0);
    const btfBase64 = Buffer.from(bytes).toString('base64');
    expect(report({ objectBase64 }).programs).toMatchObject([{ name: 'reads', verdict: 'refused' }]);
    expect(report({ objectBase64, btfBase64 }).programs).toMatchObject([{ name: 'reads', verdict: 'accepted' }]);
  });

  it('says that a hook is missing without blaming the program', () => {
    const object = compile(GOOD.replace('raw_syscalls/sys_enter', 'raw_syscalls/no_such_event'));
    const verdict = report({ objectBase64: object });
    expect(verdict.programs[0]?.verdict).toBe(existsSync('/sys/kernel/tracing/events') ? 'unsupported' : 'accepted');
  });

  it('finds a raw tracepoint that is there, and misses one that is not', () => {
    const object = (name: string) => compile(GOOD.replace('tracepoint/raw_syscalls/sys_enter', `raw_tp/${name}`));
    expect(report({ objectBase64: object('sys_enter') })).toMatchObject({ verdict: 'accepted' });
    expect(report({ objectBase64: object('no_such_tracepoint') })).toMatchObject({
      verdict: 'unable',
      programs: [{ verdict: 'unsupported', log: 'this kernel has no raw tracepoint no_such_tracepoint' }],
    });
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
    ['OBJECT_INVALID', () => ({ objectBase64: compile(GOOD, []) })],
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
