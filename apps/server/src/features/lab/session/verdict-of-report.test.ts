import { describe, expect, it } from '@jest/globals';
import type { ProgramReport, VerifierReport } from '../../../verify/index.js';
import { crashVerdict, timeoutVerdict, verdictOfReport } from './verdict-of-report.js';

const object = Buffer.from('not read where nothing was refused');
const measured = { release: '6.12.1', arch: 'aarch64', buildId: null, btf: true, jit: '1', lsm: null };
const hasType = (kind: string, name: string) => `${kind} ${name}` === 'struct task_struct';
const kernel = { lacks: [], hasType };
const loaded = { verifiedInstructions: 100, stackDepthBytes: 64, jitedBytes: 800 };

function program(given: Partial<ProgramReport> & Pick<ProgramReport, 'verdict'>): ProgramReport {
  return { name: 'p', section: 'tracepoint/xfs/xfs_read', type: 'tracepoint', instructionCount: 5, ...given };
}

function report(verdict: VerifierReport['verdict'], programs: ProgramReport[]): VerifierReport {
  const maps = [
    { name: 'a', type: 'array', bytes: 4_096 },
    { name: 'b', type: 'hash' },
  ];
  return { kernel: measured, verdict, loadMs: 7, programs, maps };
}

describe('the verdict of a lab kernel', () => {
  it('counts over all programs of the object, and takes the deepest stack', () => {
    const second = program({
      name: 'q',
      verdict: 'accepted',
      verifiedInstructions: 20,
      stackDepthBytes: 8,
      jitedBytes: 100,
    });
    const skipped = program({ name: 'r', verdict: 'skipped' });
    const { verdict, reasons, facts } = verdictOfReport(
      report('accepted', [program({ verdict: 'accepted', ...loaded }), second, skipped]),
      object,
      kernel,
    );
    expect([verdict, reasons]).toEqual(['accepted', []]);
    expect(facts).toMatchObject({
      loadMs: 7,
      instructions: 120,
      stackDepthBytes: 64,
      jitedBytes: 900,
      mapBytes: 4_096,
    });
    expect(facts['programs']).toMatchObject([{ jitedBytes: 800 }, { jitedBytes: 100 }, { jitedBytes: null }]);
  });

  it('knows nothing of a tracepoint that may be a module’s, and refuses what the kernel has no program type for', () => {
    const log = 'this kernel has no tracepoint xfs:xfs_read';
    const module = report('unable', [program({ verdict: 'unsupported', ...loaded, log })]);
    expect(verdictOfReport(module, object, kernel)).toMatchObject({ verdict: 'unknown', reasons: [{ program: 'p' }] });
    const type = program({
      section: 'lsm/file_open',
      type: 'lsm',
      verdict: 'unsupported',
      errnoName: 'EINVAL',
      log: '',
    });
    expect(verdictOfReport(report('unable', [type]), object, kernel).verdict).toBe('refused');
    expect(
      verdictOfReport(report('unable', [program({ verdict: 'unsupported', ...loaded }), type]), object, kernel).verdict,
    ).toBe('refused');
    expect(verdictOfReport({ ...report('unable', []), reason: 'no CAP_BPF' }, object, kernel).verdict).toBe('unknown');
  });

  it.each([
    ['raw_tp/gone', 'this kernel has no raw tracepoint gone', 'unknown'],
    ['kprobe/gone', 'this kernel has no function gone: it may be called otherwise', 'unknown'],
    [
      'fentry/ext4_sync_file',
      'this kernel has the function ext4_sync_file only in its module ext4, which a device may not have loaded',
      'unknown',
    ],
    [
      'kprobe/start_kernel',
      'this kernel has the function start_kernel, which is closed to tracing (notrace, or gone after boot)',
      'unknown',
    ],
    ['kprobe.multi/zz_*', 'this kernel has no traceable function for the pattern zz_*', 'unknown'],
    ['kprobe/do_unlinkat', 'this kernel has no kprobes (CONFIG_KPROBES)', 'refused'],
  ])('of %s, of which the verifier says “%s”, is %s, with that as its reason', (section, log, word) => {
    const { verdict, reasons } = verdictOfReport(
      report('unable', [program({ section, verdict: 'unsupported', ...loaded, log })]),
      object,
      kernel,
    );
    expect([verdict, reasons]).toEqual([
      word,
      [{ kind: 'hook_missing', program: 'p', sentence: expect.stringMatching(`^${log[0]?.toUpperCase()}`) }],
    ]);
    expect(reasons[0]?.sentence).toContain(log.slice(1));
  });

  describe('of what may be a module’s', () => {
    const noTarget = (errno: string) => `prog 'p': failed to find kernel BTF type ID of 'xfs_file_open': ${errno}`;
    const asked = (section: string, log: string, lacks: string[] = []) => {
      const refused = program({ section, type: 'tracing', verdict: 'unsupported', errno: 3, errnoName: 'ESRCH', log });
      return verdictOfReport(report('unable', [refused]), object, { lacks, hasType });
    };

    it.each(['fentry/xfs_file_open', 'fexit.s/xfs_file_open', 'tp_btf/xfs_read'])('knows nothing: %s', (section) => {
      for (const errno of ['-3', '-ESRCH']) {
        expect(asked(section, noTarget(errno))).toMatchObject({
          verdict: 'unknown',
          reasons: [{ kind: 'kernel_target_missing', program: 'p', sentence: expect.stringMatching(/of a module/) }],
        });
      }
    });

    it.each(['lsm/no_such', 'lsm.s/no_such', '?iter/no_such', 'iter.s/no_such'])('refuses: %s', (section) => {
      expect(asked(section, noTarget('-ESRCH')).verdict).toBe('refused');
    });

    it('refuses it where the kernel shows no types of modules, or none at all', () => {
      expect(asked('fentry/xfs_file_open', noTarget('-ESRCH'), ['module_btf']).verdict).toBe('refused');
      expect(asked('fentry/xfs_file_open', "kernel BTF is missing at '/sys/kernel/btf/vmlinux'").verdict).toBe(
        'refused',
      );
    });

    it('refuses an object of which another program is refused for good', () => {
      const hook = program({ section: 'fentry/xfs_file_open', verdict: 'unsupported', log: noTarget('-ESRCH') });
      const bad = program({ name: 'q', verdict: 'refused', errnoName: 'EACCES', log: 'R7 !read_ok' });
      expect(verdictOfReport(report('refused', [hook, bad]), object, kernel).verdict).toBe('refused');
    });

    it.each<[string, typeof hasType | undefined, string[], 'unknown' | 'refused']>([
      ['struct xfs_inode.i_ino (0:0 @ offset 0)', hasType, [], 'unknown'],
      ['struct task_struct___old.state (0:0 @ offset 0)', hasType, [], 'refused'],
      ['struct xfs_inode.i_ino (0:0 @ offset 0)', undefined, [], 'refused'],
      ['struct xfs_inode.i_ino (0:0 @ offset 0)', hasType, ['module_btf'], 'refused'],
      ['enum64 xfs_flags::XFS_NEW = 1', hasType, [], 'unknown'],
    ])('a type that it reads: %s', (spec, its, lacks, word) => {
      const log = `12: <invalid CO-RE relocation>\nfailed to resolve CO-RE relocation <byte_off> [9] ${spec}\nprocessed 3 insns`;
      const refused = program({ verdict: 'refused', errnoName: 'EINVAL', log });
      expect(verdictOfReport(report('refused', [refused]), object, { lacks, hasType: its }).verdict).toBe(word);
    });

    it.each<[string, string[], 'unknown' | 'refused']>([
      ["extern (func ksym) 'bpf_skb_ct_lookup': not found in kernel or module BTFs; failed to load", [], 'unknown'],
      ["extern (func ksym) 'bpf_skb_ct_lookup': not found in kernel or module BTFs", ['module_btf'], 'refused'],
      ["extern (var ksym) 'xfs_stats': not found in kernel BTF", [], 'unknown'],
      ["extern 'xfs_stats' (strong): not resolved", ['module_btf'], 'unknown'],
      ["extern 'CONFIG_XFS_FS' (strong): not resolved", [], 'refused'],
      ["extern (func ksym) 'f': func_proto [7] incompatible with vmlinux [99]", [], 'refused'],
      ["map 'm': failed to create: -EINVAL", [], 'refused'],
    ])('%s, lacking [%s]: %s', (reason, lacks, word) => {
      const whole = { ...report('refused', [program({ verdict: 'skipped', errnoName: 'ESRCH' })]), reason };
      expect(verdictOfReport(whole, object, { lacks, hasType }).verdict).toBe(word);
    });
  });

  it('knows nothing of what its VM had no memory for, and refuses what takes too much of any kernel', () => {
    const short = program({ verdict: 'refused', errno: 12, errnoName: 'ENOMEM', log: '' });
    expect(verdictOfReport(report('refused', [short]), object, kernel)).toMatchObject({
      verdict: 'unknown',
      reasons: [
        { kind: 'memory_unavailable', program: 'p', sentence: expect.stringMatching(/^The VM had no memory for it\./) },
      ],
    });
    const complex = { ...short, log: 'The sequence of 8193 jumps is too complex.' };
    expect(verdictOfReport(report('refused', [complex]), object, kernel).verdict).toBe('refused');
    for (const [name, errnoName, word] of [
      ['-ENOMEM', 'ENOMEM', 'unknown'],
      ['-E2BIG', 'E2BIG', 'refused'],
    ] as const) {
      const skipped = program({ verdict: 'skipped', errnoName });
      const whole = { ...report('refused', [skipped]), reason: `map 'm': failed to create: ${name}` };
      expect(verdictOfReport(whole, object, kernel).verdict).toBe(word);
      expect(verdictOfReport({ ...whole, reason: 'failed to load object' }, object, kernel).verdict).toBe(word);
    }
  });

  it('is a refusal when the kernel went down, with its last words, and none when it was only slow', () => {
    const lines = Array.from({ length: 100 }, (_, at) => `line ${at}`);
    const crash = crashVerdict('the kernel panicked: Oops', lines);
    expect(crash).toMatchObject({ verdict: 'refused', reasons: [{ kind: 'kernel_crash' }] });
    expect((crash.facts['console'] as string).split('\n').at(-1)).toBe('line 99');
    expect(timeoutVerdict(300_000)).toMatchObject({
      verdict: 'unknown',
      reasons: [{ sentence: expect.stringMatching(/300 s/) }],
    });
  });
});
