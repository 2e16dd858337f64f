import { describe, expect, it } from '@jest/globals';
import type { KernelReport } from '@bpfleet/node-libbpf';
import { collectFacts } from './facts.js';
import { kernelFeatures } from './features.js';

const report = (given: Partial<Record<'programTypes' | 'mapTypes' | 'features', object>>) =>
  kernelFeatures({ programTypes: {}, mapTypes: {}, features: {}, ...given } as unknown as KernelReport);

describe('kernelFeatures', () => {
  it('says what is there, what is not, and nothing of what the kernel did not tell', () => {
    const programTypes = { kprobe: 'yes', xdp: 'no', lsm: 'unknown' };
    expect(report({ programTypes, mapTypes: { ringbuf: 'yes' }, features: { kprobes: 'no' } })).toEqual({
      features: ['kprobe', 'ringbuf'],
      lacks: ['xdp', 'kprobes'],
    });
  });

  it('takes either of two things of one name for it, and does not deny what one of them leaves open', () => {
    const programTypes = { struct_ops: 'no', other: 'no' };
    const mapTypes = { struct_ops: 'yes', other: 'unknown' };
    expect(report({ programTypes, mapTypes })).toEqual({ features: ['struct_ops'], lacks: [] });
  });
});

describe('collectFacts', () => {
  it('denies BTF where there is no file of it, and does not where there is', async () => {
    const kernel = { features: ['btf', 'xdp'], lacks: ['tcx'], cpus: 12 };
    const without = await collectFacts('0.0.0', kernel, '/nowhere/vmlinux');
    expect([without.features, without.lacks, without.possibleCpus]).toEqual([['xdp'], ['btf', 'tcx'], 12]);
    const self = await collectFacts('0.0.0', { ...kernel, lacks: ['btf'] }, import.meta.filename);
    expect([self.features, self.lacks]).toEqual([['btf', 'xdp'], []]);
  });
});
