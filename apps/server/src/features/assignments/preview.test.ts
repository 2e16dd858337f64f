import { describe, expect, it } from '@jest/globals';
import type { SelectedDevice } from '../devices/index.js';
import { answerFor, preview, type KernelVerdict, type PreviewedRelease } from './preview.js';

const facts = {
  hostname: 'edge',
  machine: null,
  distribution: null,
  kernelRelease: '6.1.0-28-arm64',
  kernelArch: 'arm64',
  kernelBuildId: 'ab'.repeat(20) as string | null,
  userBits: 64,
  btfDigest: null,
  jit: 'on',
  lsm: [],
  cpus: 4,
  features: ['ringbuf'],
  agentVersion: '0.1.0',
};
const device = (given: Partial<typeof facts> = {}, id = 'dtest00000001'): SelectedDevice => ({
  id,
  name: id,
  labels: {},
  facts: { ...facts, ...given },
});
const verdict = (given: Partial<KernelVerdict> = {}): KernelVerdict => ({
  kernelRelease: facts.kernelRelease,
  kernelArch: facts.kernelArch,
  kernelBuildId: facts.kernelBuildId,
  verdict: 'accepted',
  reason: null,
  programs: [],
  ...given,
});
const release = (given: Partial<PreviewedRelease> = {}): PreviewedRelease => ({
  features: ['ringbuf'],
  arches: ['any'],
  verdicts: [verdict()],
  ...given,
});

describe('preview', () => {
  it('takes what this very kernel has proven', () => {
    expect(answerFor(device(), release())).toEqual({ verdict: 'takes', reason: 'proven on this kernel' });
  });

  it('goes by the build id, and by release and architecture only where one side has none', () => {
    const rebuilt = device({ kernelBuildId: 'cd'.repeat(20) });
    expect(answerFor(rebuilt, release()).verdict).toBe('unknown');
    expect(answerFor(device({ kernelBuildId: null }), release()).verdict).toBe('takes');
    expect(answerFor(device({ kernelBuildId: null, kernelArch: 'x86_64' }), release()).verdict).toBe('unknown');
  });

  it('says why a kernel refuses, in the verifier’s explanation', () => {
    const programs = [{ name: 'p', verdict: 'refused', explanation: { sentence: 'It reads too far.' } }];
    const answer = answerFor(device(), release({ verdicts: [verdict({ verdict: 'refused', programs })] }));
    expect(answer).toEqual({ verdict: 'refuses', reason: 'refused by this kernel: It reads too far.' });
  });

  it('refuses where a program type is not supported', () => {
    const programs = [{ name: 'p', verdict: 'unsupported', explanation: null }];
    const answer = answerFor(device(), release({ verdicts: [verdict({ verdict: 'unproven', programs })] }));
    expect(answer).toEqual({ verdict: 'refuses', reason: 'this kernel does not support p' });
  });

  it('refuses what certainly cannot work: a feature or an object that is missing', () => {
    expect(answerFor(device({ features: [] }), release()).reason).toContain('lacks ringbuf');
    expect(answerFor(device(), release({ arches: ['x86_64'] })).reason).toContain('no object for arm64');
  });

  it('does not know what nobody asked, and says why', () => {
    expect(answerFor(device({ kernelRelease: '5.10.0', kernelBuildId: null }), release()).reason).toBe(
      'not proven on this kernel',
    );
    const nobody = verdict({ kernelRelease: null, kernelBuildId: null, verdict: 'unproven', reason: 'no BPF here' });
    expect(answerFor(device(), release({ verdicts: [nobody] })).reason).toBe('not proven on this kernel: no BPF here');
    expect(answerFor({ ...device(), facts: null }, release()).verdict).toBe('unknown');
  });

  it('believes the newest verdict', () => {
    const verdicts = [verdict({ verdict: 'refused', reason: 'a new kernel rule' }), verdict()];
    expect(answerFor(device(), release({ verdicts })).verdict).toBe('refuses');
  });

  it('groups by kernel and reason, adds up, and shows some names', () => {
    const many = Array.from({ length: 12 }, (_, i) => device({}, `dtest${String(i).padStart(8, '0')}`));
    const result = preview([...many, device({ features: [] }, 'dother0000001')], release());
    expect(result).toMatchObject({ devices: 13, takes: 12, refuses: 1, unknown: 0 });
    expect(result.groups.map((group) => [group.devices, group.verdict])).toEqual([
      [12, 'takes'],
      [1, 'refuses'],
    ]);
    expect(result.sample).toHaveLength(10);
  });
});
