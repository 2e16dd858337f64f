import { describe, expect, it } from '@jest/globals';
import { describeKernel, readBuildId } from './kernel.js';

describe('describeKernel', () => {
  it('describes the kernel it runs on', () => {
    expect(describeKernel()).toMatchObject({ release: expect.stringMatching(/^\d+\.\d+/), arch: expect.any(String) });
    expect(readBuildId('/does/not/exist')).toBeNull();
  });
});
