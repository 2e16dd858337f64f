import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { addressText } from './address.js';
import { ERRNO_NAMES } from './errno.js';
import { SYSCALLS_ARM } from './syscalls-arm.js';
import { SYSCALLS_ARM64 } from './syscalls-arm64.js';
import { SYSCALLS_I386 } from './syscalls-i386.js';
import { SYSCALLS_X86_64 } from './syscalls-x86-64.js';
import { compatSyscallName, syscallName } from './syscalls.js';

describe('syscallName', () => {
  it('knows each architecture by the name that uname gives it', () => {
    expect([syscallName('x86_64', 59), syscallName('aarch64', 221)]).toEqual(['execve', 'execve']);
    expect([syscallName('x86_64', 257), syscallName('aarch64', 56)]).toEqual(['openat', 'openat']);
    expect([syscallName('aarch64', 222), syscallName('aarch64', 79)]).toEqual(['mmap', 'newfstatat']);
    expect([syscallName('armv7l', 11), syscallName('armv7l', 322)]).toEqual(['execve', 'openat']);
    expect([syscallName('riscv64', 3), syscallName('x86_64', 99_999)]).toEqual([undefined, undefined]);
  });

  it('knows the calls of 32-bit programs on 64-bit kernels by their own numbers', () => {
    expect([compatSyscallName('aarch64', 96), compatSyscallName('x86_64', 96)]).toEqual(['getpriority', 'getpriority']);
    expect([compatSyscallName('aarch64', 384), compatSyscallName('x86_64', 355)]).toEqual(['getrandom', 'getrandom']);
    expect([compatSyscallName('armv7l', 96), compatSyscallName('aarch64', 7)]).toEqual([undefined, undefined]);
  });

  it('has one name per number, and the same numbers on both since 5.1', () => {
    for (const table of [SYSCALLS_X86_64, SYSCALLS_ARM64, SYSCALLS_I386, SYSCALLS_ARM]) {
      expect(new Set(Object.values(table)).size).toBe(Object.keys(table).length);
    }
    const shared = Object.keys(SYSCALLS_ARM64)
      .map(Number)
      .filter((number) => number >= 424);
    expect(shared.map((number) => SYSCALLS_ARM64[number])).toEqual(shared.map((number) => SYSCALLS_X86_64[number]));
  });
});

const HEADER = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h';

describe('the generated table of x86-64', () => {
  (existsSync(HEADER) ? it : it.skip)('has every call of this machine (needs linux-libc-dev for x86-64)', () => {
    const calls = [...readFileSync(HEADER, 'utf8').matchAll(/^#define __NR_(\w+) (\d+)$/gm)];
    expect(calls.length).toBeGreaterThan(300);
    const missing = calls.filter(([, name, number]) => SYSCALLS_X86_64[Number(number)] !== name);
    expect(missing.map(([line]) => line)).toEqual([]);
  });
});

describe('names of errors', () => {
  it('are those of the kernel', () => {
    expect([ERRNO_NAMES[1], ERRNO_NAMES[11], ERRNO_NAMES[111], ERRNO_NAMES[133]]).toEqual([
      'EPERM',
      'EAGAIN',
      'ECONNREFUSED',
      'EHWPOISON',
    ]);
  });
});

describe('addressText', () => {
  const v6 = (text: string) => new Uint8Array((text.match(/../g) ?? []).map((byte) => parseInt(byte, 16)));
  it.each([
    ['7f000001', '127.0.0.1'],
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['20010db8000000010000000000000001', '2001:db8:0:1::1'],
    ['fe800000000000000202b3fffe1e8329', 'fe80::202:b3ff:fe1e:8329'],
    ['20010db8000000010001000100010000', '2001:db8:0:1:1:1:1:0'],
    ['00000000000000000000ffff0a000001', '10.0.0.1'],
    ['00010000000000000001000000000000', '1::1:0:0:0'],
  ])('%s is %s', (hex, text) => {
    expect(addressText(v6(hex))).toBe(text);
  });
});
