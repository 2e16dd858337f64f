import { describe, expect, it } from '@jest/globals';
import { describeKernel, findBuildId, missingHook, readBuildId } from './kernel.js';

function note(name: string, type: number, descriptor: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(name.length, 0);
  head.writeUInt32LE(descriptor.length, 4);
  head.writeUInt32LE(type, 8);
  const padding = (bytes: number) => Buffer.alloc((4 - (bytes % 4)) % 4);
  return Buffer.concat([
    head,
    Buffer.from(name, 'latin1'),
    padding(name.length),
    descriptor,
    padding(descriptor.length),
  ]);
}

describe('findBuildId', () => {
  const id = Buffer.from('00112233445566778899aabbccddeeff00112233', 'hex');

  it('finds the GNU build id among other notes', () => {
    const notes = Buffer.concat([note('Linux\0', 257, Buffer.from('abc')), note('Xen\0', 3, id), note('GNU\0', 3, id)]);
    expect(findBuildId(notes)).toBe(id.toString('hex'));
  });

  it('gives null for notes without one, cut short, or lying about their size', () => {
    expect(findBuildId(Buffer.alloc(0))).toBeNull();
    expect(findBuildId(note('GNU\0', 1, id))).toBeNull();
    expect(findBuildId(note('GNU\0', 3, id).subarray(0, 20))).toBeNull();
    const lying = note('GNU\0', 3, id);
    lying.writeUInt32LE(0xffff_ffff, 4);
    expect(findBuildId(lying)).toBeNull();
    expect(readBuildId('/does/not/exist')).toBeNull();
  });
});

describe('describeKernel and missingHook', () => {
  it('describes the kernel it runs on', () => {
    expect(describeKernel()).toMatchObject({ release: expect.stringMatching(/^\d+\.\d+/), arch: expect.any(String) });
  });

  it('says nothing about hooks that only attaching would tell', () => {
    expect(missingHook('xdp')).toBeUndefined();
    expect(missingHook('uprobe/libc.so.6:getuid')).toBeUndefined();
  });
});
