import { describe, expect, it } from '@jest/globals';
import { kernelFeatures, type KernelAnswers } from './kernel-features.js';

const asked = (given: Partial<KernelAnswers>) =>
  kernelFeatures({ programTypes: {}, mapTypes: {}, features: {}, ...given });

describe('kernelFeatures', () => {
  it('says what is there, what is not, and nothing of what the kernel did not tell', () => {
    const programTypes = { kprobe: 'yes', xdp: 'no', lsm: 'unknown' } as const;
    expect(asked({ programTypes, mapTypes: { ringbuf: 'yes' }, features: { kprobes: 'no' } })).toEqual({
      features: ['kprobe', 'ringbuf'],
      lacks: ['xdp', 'kprobes'],
    });
  });

  it('takes either of two things of one name for it, and does not deny what one of them leaves open', () => {
    const programTypes = { struct_ops: 'no', other: 'no' } as const;
    const mapTypes = { struct_ops: 'yes', other: 'unknown' } as const;
    expect(asked({ programTypes, mapTypes })).toEqual({ features: ['struct_ops'], lacks: [] });
  });
});
