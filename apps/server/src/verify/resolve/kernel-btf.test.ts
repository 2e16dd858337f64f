import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { BTF_BYTES_MAX } from '@bpfleet/api';
import { parseBtf, writeBtf } from '@bpfleet/btf';
import { foreignBtf } from '../../features/kernels/testing/kernel-btf.js';
import { KernelBtfError, readKernelBtf } from './kernel-btf.js';

function reasonOf(bytes: Uint8Array): string {
  try {
    readKernelBtf(bytes);
  } catch (error) {
    if (error instanceof KernelBtfError) return error.message;
    throw error;
  }
  return 'read';
}

describe('the BTF of a kernel', () => {
  it.each([
    ['arm64-6.12', 64],
    ['armhf-6.1', 32],
  ] as const)('is read with the size of its pointers: %s', (name, bits) => {
    expect(readKernelBtf(foreignBtf(name)).pointerBits).toBe(bits);
  });

  it('is refused in words when it is too large, damaged, of something else, or made to do harm', () => {
    const kernel = foreignBtf('armhf-6.1');
    const types = [...parseBtf(kernel).types()].slice(0, 20);
    const strange = Buffer.from(kernel);
    strange[strange.length - 100] = 0xe9;
    expect(reasonOf(Buffer.alloc(BTF_BYTES_MAX + 1))).toMatch(/at most 33554432/);
    expect(reasonOf(kernel.subarray(0, kernel.length / 2))).toMatch(/damaged, or no BTF/);
    expect(reasonOf(Buffer.from('\u007fELF'))).toMatch(/damaged, or no BTF/);
    expect(reasonOf(writeBtf(types, true))).toMatch(/no struct task_struct/);
    expect(reasonOf(strange)).toMatch(/plain ASCII/);
  });

  it('is this kernel’s, where it has one', () => {
    const path = '/sys/kernel/btf/vmlinux';
    if (existsSync(path)) expect(readKernelBtf(readFileSync(path)).btf.typeCount).toBeGreaterThan(10_000);
  });
});
