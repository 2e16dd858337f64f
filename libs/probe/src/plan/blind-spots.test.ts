import { describe, expect, it } from '@jest/globals';
import { blindSpots } from './blind-spots.js';

const BOARD = { kernelArch: 'arm', userBits: 32 };
const MIXED = { kernelArch: 'arm64', userBits: 32 };
const MIXED_PC = { kernelArch: 'x86_64', userBits: 32 };
const ARM64 = { kernelArch: 'arm64', userBits: 64 };
const PC = { kernelArch: 'x86_64', userBits: 64 };
const EVERYWHERE = [BOARD, MIXED, MIXED_PC, ARM64, PC];

const program = (section: string) => ({ programs: [{ name: 'p', section }], maps: [] });
const map = (typeName: string) => ({ programs: [], maps: [{ name: 'm', typeName }] });
const blindOn = (part: Parameters<typeof blindSpots>[0]) =>
  EVERYWHERE.filter((kernel) => blindSpots(part, kernel).length > 0);

describe('what a kernel takes and does not do', () => {
  it.each([
    'uprobe/libc.so.6:malloc',
    'uprobe.s/libc.so.6:malloc',
    'uprobe.multi/libc.so.6:*alloc',
    'uretprobe/libc.so.6:malloc',
    'uretprobe.multi.s/libc.so.6:malloc',
    'uprobe',
    'usdt/libc.so.6:libc:setjmp',
    'usdt.s/libc.so.6:libc:setjmp',
  ])('%s of an ARM64 kernel passes 32-bit programs by', (section) => {
    expect(blindOn(program(section))).toEqual([MIXED]);
    expect(blindSpots(program(section), MIXED)).toEqual([
      { of: 'p', sentence: expect.stringContaining(`(${section}) would see nothing: ARM64 kernels pass 32-bit`) },
    ]);
  });

  it.each(['cgroup/getsockopt', 'cgroup/setsockopt'])('%s is for 64-bit callers of 64-bit kernels', (section) => {
    expect(blindOn(program(section))).toEqual([MIXED, MIXED_PC]);
    expect(blindSpots(program(section), MIXED)[0]?.sentence).toMatch(/would see nothing: 64-bit kernels show it/);
  });

  it('an array of maps is read elsewhere than it is written by a 32-bit kernel', () => {
    expect(blindOn(map('array_of_maps'))).toEqual([BOARD]);
    expect(blindSpots(map('array_of_maps'), BOARD)).toEqual([
      { of: 'm', sentence: expect.stringMatching(/^Map m \(array_of_maps\) .* hash_of_maps\.$/) },
    ]);
  });

  it.each([
    ...['kprobe/do_unlinkat', 'tracepoint/sched/sched_switch', 'raw_tp/sys_enter', 'cgroup/connect4', 'cgroup/sysctl'],
    ...['xdp', 'perf_event', '?uprobe/libc.so.6:malloc', '?cgroup/getsockopt', 'uprobes/x', ''],
  ])('%s is not among them', (section) => {
    expect(blindOn(program(section))).toEqual([]);
  });

  it.each(['hash_of_maps', 'array', 'prog_array'])('nor is a map of type %s', (type) => {
    expect(blindOn(map(type))).toEqual([]);
  });
});
