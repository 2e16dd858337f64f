import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { missingHook, type HookSources } from './hooks.js';

describe('missingHook', () => {
  let folder: string;
  let kernel: HookSources;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bpfleet-hooks-'));
    const [events, eventSources] = [join(folder, 'events'), join(folder, 'devices')];
    mkdirSync(join(events, 'sched/sched_switch'), { recursive: true });
    mkdirSync(join(eventSources, 'kprobe'), { recursive: true });
    const code = ['do_unlinkat', 'tcp_v4_connect.isra.0', 'twice', 'twice', '__arm64_sys_openat', '__se_sys_openat'];
    code.push('__traceiter_sched_switch', '__traceiter_pelt_se_tp');
    kernel = { release: '6.12.1', events, eventSources, isBuiltByClang: false, code: () => named(code) };
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const named = (code: readonly string[]) => ({ count: (name: string) => code.filter((one) => one === name).length });
  const asked = (section: string, change: Partial<HookSources> = {}) => missingHook(section, { ...kernel, ...change });

  it.each([
    'tracepoint/sched/sched_switch',
    'tp/sched/sched_switch',
    'raw_tp/sched_switch',
    // It has no event, so that tracefs does not list it.
    'raw_tracepoint/pelt_se_tp',
    'raw_tp.w/sched_switch',
    'kprobe/do_unlinkat',
    '?kprobe/do_unlinkat',
    'kretprobe/do_unlinkat+0x10',
    'kprobe/tcp_v4_connect.isra.0',
    'ksyscall/openat',
    'kprobe.multi/no_such_*',
  ])('finds %s', (section) => expect(asked(section)).toBeUndefined());

  it.each([
    ['tracepoint/sched/gone', /^this kernel has no tracepoint sched:gone$/],
    ['raw_tp/gone', /^this kernel has no raw tracepoint gone$/],
    ['raw_tracepoint.w/gone', /no raw tracepoint gone/],
    ['kprobe/gone', /^this kernel has no function gone: .* in a module$/],
    ['?kretprobe/gone+8', /no function gone/],
    ['kprobe/tcp_v4_connect', /no function tcp_v4_connect: its compiler made tcp_v4_connect\.isra\.0 of it$/],
    ['kprobe/twice', /^this kernel has 2 functions named twice, and so it takes no kprobe on any of them$/],
    ['kretsyscall/gone', /^this kernel has no system call gone$/],
  ])('misses %s', (section, sentence) => expect(asked(section)).toMatch(sentence));

  it('does not swear that an older kernel refuses what stands for several functions', () => {
    expect(asked('kprobe/twice', { release: '5.10.0' })).toMatch(/it may take no kprobe/);
  });

  it('misses every kprobe where there are none', () => {
    for (const section of ['kprobe/do_unlinkat', 'kprobe.multi/*', 'ksyscall/openat']) {
      expect(asked(section, { eventSources: folder })).toMatch(/no kprobes \(CONFIG_KPROBES\)/);
    }
  });

  it('judges nothing by what it cannot read', () => {
    const blind = { events: undefined, eventSources: undefined, code: () => undefined };
    for (const section of ['tracepoint/sched/gone', 'raw_tp/gone', 'kprobe/gone', 'ksyscall/gone']) {
      expect(asked(section, blind)).toBeUndefined();
    }
    // Names without those of tracepoints, and names that are not those the kernel finds functions by.
    expect(asked('raw_tp/gone', { code: () => named(['do_unlinkat']) })).toBeUndefined();
    expect(asked('kprobe/gone', { isBuiltByClang: true })).toBeUndefined();
  });

  it('says nothing about hooks that only attaching would tell', () => {
    for (const section of ['xdp', 'kprobe', 'tracepoint', 'uprobe/libc.so.6:getuid', 'fentry/gone', 'perf_event', '']) {
      expect(asked(section)).toBeUndefined();
    }
  });
});
