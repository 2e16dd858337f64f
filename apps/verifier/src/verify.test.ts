import { describe, expect, it } from '@jest/globals';
import { LibbpfError, VerifierError } from '@bpfleet/node-libbpf';
import { isUnsupported, parseStackDepth } from './verify.js';

describe('parseStackDepth', () => {
  it('adds the program and its subprograms', () => {
    expect(parseStackDepth('verification time 12 usec\nstack depth 64+0+16\nprocessed 3 insns\n')).toBe(80);
    expect(parseStackDepth('stack depth 8\n')).toBe(8);
    expect(parseStackDepth('processed 3 insns\n')).toBeUndefined();
  });
});

describe('isUnsupported', () => {
  const tracing = { type: 'tracing' };

  it('is the kernel when it refuses the type before the verifier wrote anything', () => {
    for (const errno of [1, 95, 524]) {
      expect(isUnsupported(tracing, new VerifierError('p', errno, '', ''))).toBe(true);
    }
    const noHook = new LibbpfError('BPF_LOAD', 'load', 3, "failed to find kernel BTF type ID of 'no_such': -3");
    expect(isUnsupported(tracing, noHook)).toBe(true);
  });

  it('is the program when the verifier says so', () => {
    expect(isUnsupported(tracing, new VerifierError('p', 1, 'R1 leaks addr', ''))).toBe(false);
    expect(isUnsupported(tracing, new VerifierError('p', 13, '', ''))).toBe(false);
    expect(isUnsupported(tracing, new LibbpfError('BPF_LOAD', 'load', 22, 'failed to relocate'))).toBe(false);
  });
});
