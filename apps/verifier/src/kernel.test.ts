import { describe, expect, it } from '@jest/globals';
import { describeKernel, missingHook, readBuildId } from './kernel.js';

describe('describeKernel and missingHook', () => {
  it('describes the kernel it runs on', () => {
    expect(describeKernel()).toMatchObject({ release: expect.stringMatching(/^\d+\.\d+/), arch: expect.any(String) });
    expect(readBuildId('/does/not/exist')).toBeNull();
  });

  it('says nothing about hooks that only attaching would tell', () => {
    expect(missingHook('xdp')).toBeUndefined();
    expect(missingHook('uprobe/libc.so.6:getuid')).toBeUndefined();
  });
});
