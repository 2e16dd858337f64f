import { describe, expect, it } from '@jest/globals';
import type { ProgramReport, VerifierReport } from '../../../verify/index.js';
import { crashVerdict, timeoutVerdict, verdictOfReport } from './verdict-of-report.js';

const object = Buffer.from('not read where nothing was refused');
const kernel = { release: '6.12.1', arch: 'aarch64', buildId: null, btf: true, jit: '1', lsm: null };
const loaded = { verifiedInstructions: 100, stackDepthBytes: 64, jitedBytes: 800 };

function program(given: Partial<ProgramReport> & Pick<ProgramReport, 'verdict'>): ProgramReport {
  return { name: 'p', section: 'tracepoint/xfs/xfs_read', type: 'tracepoint', instructionCount: 5, ...given };
}

function report(verdict: VerifierReport['verdict'], programs: ProgramReport[]): VerifierReport {
  const maps = [
    { name: 'a', type: 'array', bytes: 4_096 },
    { name: 'b', type: 'hash' },
  ];
  return { kernel, verdict, loadMs: 7, programs, maps };
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
    expect(verdictOfReport(module, object)).toMatchObject({ verdict: 'unknown', reasons: [{ program: 'p' }] });
    const type = program({
      section: 'lsm/file_open',
      type: 'lsm',
      verdict: 'unsupported',
      errnoName: 'EINVAL',
      log: '',
    });
    expect(verdictOfReport(report('unable', [type]), object).verdict).toBe('refused');
    expect(
      verdictOfReport(report('unable', [program({ verdict: 'unsupported', ...loaded }), type]), object).verdict,
    ).toBe('refused');
    expect(verdictOfReport({ ...report('unable', []), reason: 'no CAP_BPF' }, object).verdict).toBe('unknown');
  });

  it.each([
    ['raw_tp/gone', 'this kernel has no raw tracepoint gone', 'unknown'],
    ['kprobe/gone', 'this kernel has no function gone: it may be called otherwise', 'unknown'],
    ['kprobe/do_unlinkat', 'this kernel has no kprobes (CONFIG_KPROBES)', 'refused'],
  ])('of %s, of which the verifier says “%s”, is %s, with that as its reason', (section, log, word) => {
    const { verdict, reasons } = verdictOfReport(
      report('unable', [program({ section, verdict: 'unsupported', ...loaded, log })]),
      object,
    );
    expect([verdict, reasons]).toEqual([
      word,
      [{ kind: 'hook_missing', program: 'p', sentence: expect.stringMatching(`^${log[0]?.toUpperCase()}`) }],
    ]);
    expect(reasons[0]?.sentence).toContain(log.slice(1));
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
