import { describe, expect, it } from '@jest/globals';
import { missingHook, missingTypedHook } from './missing-hook.js';

const all = { tracefs: true, probeEvents: true };

describe('missingHook', () => {
  it.each([
    ['tracepoint/sched/gone', 'ENOENT', /no tracepoint sched:gone$/],
    ['raw_tp/gone', 'ENOENT', /no raw tracepoint gone$/],
    ['raw_tracepoint.w/gone', 'ENOENT', /no raw tracepoint gone$/],
    ['kprobe/_do_fork', 'ENOENT', /no function _do_fork: .* a module that is not loaded$/],
    ['kretprobe/twice', 'EADDRNOTAVAIL', /several functions named twice/],
    ['ksyscall/gone', 'ENOENT', /no function gone/],
    ['kprobe.multi/gone_*', 'ENOENT', /no function gone_\*$/],
    ['kretprobe.multi/gone', 'ESRCH', /no function gone$/],
    [
      'uprobe/libc.so.6:gone',
      'ENOENT',
      /this device has no such file, or nothing of that name in it: libc\.so\.6:gone$/,
    ],
    ['uretprobe.multi//usr/bin/app:f', 'ENOENT', /in it: \/usr\/bin\/app:f$/],
    ['usdt//usr/bin/app:provider:name', 'ENOENT', /in it: \/usr\/bin\/app:provider:name$/],
  ])('of %s, answered by %s', (section, errnoName, sentence) => {
    expect(missingHook({ section, errnoName }, all)).toMatch(sentence);
  });

  it.each([
    // Forbidden, of a function that may not be traced, or of too old a kernel.
    ['kprobe/f', 'EPERM'],
    ['kprobe/f', 'EINVAL'],
    ['raw_tp/x', 'EACCES'],
    ['fentry/f', 'ENOENT'],
    ['xdp', 'ENOENT'],
    ['kprobe', 'ENOENT'],
    ['cgroup_skb/egress', 'ENOENT'],
  ])('says nothing of %s, answered by %s', (section, errnoName) => {
    expect(missingHook({ section, errnoName }, all)).toBeUndefined();
  });

  it('does not blame a hook for the way to it that is missing', () => {
    for (const section of ['tracepoint/sched/x', 'kprobe/f', 'kprobe.multi/f*', 'uprobe/libc.so.6:f']) {
      const places = { tracefs: false, probeEvents: false };
      expect(missingHook({ section, errnoName: 'ENOENT' }, places)).toBeUndefined();
    }
  });
});

describe('missingTypedHook', () => {
  it('names what libbpf did not find in the kernel’s types', () => {
    const said = "prog 'p': failed to find kernel BTF type ID of 'no_such': -3";
    expect(missingTypedHook(said)).toBe('this kernel has nothing named no_such to attach to');
    expect(missingTypedHook(said.replace('-3', '-ESRCH'))).toMatch(/no_such/);
  });

  it('does not say so where it was not let look', () => {
    expect(missingTypedHook("failed to find kernel BTF type ID of 'x': -1")).toBeUndefined();
    expect(missingTypedHook('failed to load object')).toBeUndefined();
  });
});
