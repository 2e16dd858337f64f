import { expect, it } from '@jest/globals';
import { hasCapability } from '@bpfleet/testkit';
import { readFileSync } from 'node:fs';
import { kernelBuildId, LibbpfError, listKernelBtf, readKernelBtf } from './index.js';

it('reads the build id of this kernel', () => {
  expect(kernelBuildId()).toMatch(/^[0-9a-f]{32,64}$/);
});

it('finds no build id in notes that are missing, cut short, or lie about their size', () => {
  const note = Buffer.alloc(12 + 4 + 20, 0xab);
  for (const [index, value] of [4, 20, 3].entries()) note.writeUInt32LE(value, index * 4);
  note.write('GNU\0', 12, 'latin1');
  expect(kernelBuildId(() => note)).toBe('ab'.repeat(20));
  const lying = Buffer.from(note);
  lying.writeUInt32LE(0xffff_ffff, 4);
  const other = Buffer.from(note);
  other.writeUInt32LE(1, 8);
  for (const notes of [Buffer.alloc(0), note.subarray(0, 30), lying, other]) {
    expect(kernelBuildId(() => notes)).toBeUndefined();
  }
  expect(kernelBuildId(() => readFileSync('/no/such/notes'))).toBeUndefined();
});

(hasCapability('btf') ? it : it.skip)('lists and reads the types of the kernel [needs btf]', () => {
  const vmlinux = listKernelBtf().find(({ name }) => name === 'vmlinux');
  expect(readKernelBtf().length).toBe(vmlinux?.bytes);
  expect(readKernelBtf('vmlinux').readUInt16LE(0)).toBe(0xeb9f);
});

it('refuses names that are no module', () => {
  for (const name of ['', '../notes', '.', 'a/b', 'a\0']) {
    expect(() => readKernelBtf(name)).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
  }
  expect(() => readKernelBtf('no_such_module')).toThrow(LibbpfError);
  expect(() => readKernelBtf('no_such_module')).toThrow('ENOENT');
});
