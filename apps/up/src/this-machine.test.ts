import { describe, expect, it } from '@jest/globals';
import { whyNoAgent } from './this-machine.js';

const capable = { uid: 0, capabilities: 1n << 21n, filesystems: 'nodev\tproc\nnodev\tbpf\n', kernelRelease: '6.1.0' };

describe('whyNoAgent', () => {
  it('is silent for root and for a user with the BPF capabilities', () => {
    expect(whyNoAgent(capable)).toBeUndefined();
    expect(whyNoAgent({ ...capable, uid: 1000, capabilities: (1n << 38n) | (1n << 39n) })).toBeUndefined();
  });

  it('says one sentence for each reason', () => {
    expect(whyNoAgent({ ...capable, filesystems: 'nodev\tproc\n' })).toBe(
      'This kernel (6.1.0) was built without BPF, so no agent can run on this machine.',
    );
    expect(whyNoAgent({ ...capable, uid: 1000, capabilities: 0n })).toMatch(
      /this user is not root, so no agent was started here\.$/,
    );
    expect(whyNoAgent({ ...capable, capabilities: 0n })).toMatch(/this root has no CAP_BPF/);
  });
});
