import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TraceableFunctions } from '@bpfleet/node-libbpf';
import type { HookSources } from './hook-sources.js';
import { missingHook } from './hooks.js';

describe('missingHook', () => {
  let folder: string;
  let kernel: HookSources;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bpfleet-hooks-'));
    const [events, eventSources] = [join(folder, 'events'), join(folder, 'devices')];
    for (const event of ['sched/sched_switch', 'ext4/ext4_sync_file_enter', 'syscalls/sys_enter_openat'])
      mkdirSync(join(events, event), { recursive: true });
    mkdirSync(join(eventSources, 'kprobe'), { recursive: true });
    const code = ['do_unlinkat', 'tcp_v4_connect.isra.0', 'twice', 'twice', '__arm64_sys_openat', '__se_sys_openat'];
    code.push('__traceiter_sched_switch', '__traceiter_pelt_se_tp', '__traceiter_ext4_sync_file_enter [ext4]');
    code.push('ext4_sync_file [ext4]', 'init_once', 'init_once [ext4]', 'show [jbd2]', 'show [veth]');
    code.push('start_kernel', 'notrace_here', 'alias', 'forbidden', 'hidden', 'hidden_too');
    const own = [...code.filter((name) => !/^(?:start_kernel|notrace_here|alias|hidden)/.test(name)), 'first_name'];
    const list = ['bcm_irq', ...own, '__ftrace_invalid_address___128', 'ext4_readdir [ext4]', 'notrace_here_not'];
    kernel = {
      ...{ release: '6.12.1', events, eventSources, isBuiltByClang: false, code: () => named(code) },
      traceable: () => new TraceableFunctions(Buffer.from(list.join('\n'))),
      forbidden: () => new Set(['forbidden']),
      mayProbeUntraceable: () => false,
    };
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** `f` is of the kernel, `f [m]` of the module m, as in its files. */
  const named = (code: readonly string[]) => ({
    find: (name: string) =>
      code.flatMap((line) => {
        const [one, module] = line.split(' ');
        return one === name ? [module?.slice(1, -1)] : [];
      }),
    listedAs: (name: string) => {
      if (name === 'alias') return 'first_name';
      return name.startsWith('hidden') || code.filter((line) => line.startsWith(name)).length !== 1 ? undefined : name;
    },
  });
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
    // No tracepoint of the kernel's has an event of a single system call.
    'tracepoint/syscalls/sys_enter_openat',
    'fentry/do_unlinkat',
    'fexit.s/init_once',
    'tp_btf/sched_switch',
    'kprobe/alias',
    // Without addresses it cannot be told by which name it is listed.
    'kprobe/hidden',
    'kprobe.multi/do_*link?t',
    'kretprobe.multi/bcm_irq',
    'kprobe.session/*at*',
  ])('finds %s', (section) => expect(asked(section)).toBeUndefined());

  it.each([
    ['tracepoint/sched/gone', /^this kernel has no tracepoint sched:gone$/],
    ['raw_tp/gone', /^this kernel has no raw tracepoint gone$/],
    ['raw_tracepoint.w/gone', /no raw tracepoint gone/],
    ['kprobe/gone', /^this kernel has no function gone: .* in a module$/],
    ['?kretprobe/gone+8', /no function gone/],
    ['kprobe/tcp_v4_connect', /no function tcp_v4_connect: its compiler made tcp_v4_connect\.isra\.0 of it$/],
    ['kprobe/twice', /^this kernel has 2 functions named twice, and so it takes no kprobe on any of them$/],
    [
      'tracepoint/ext4/ext4_sync_file_enter',
      /^this kernel has the tracepoint ext4:ext4_sync_file_enter only in its module ext4, which a device may not have loaded$/,
    ],
    ['raw_tp/ext4_sync_file_enter', /the raw tracepoint ext4_sync_file_enter only in its module ext4,/],
    ['tp_btf/ext4_sync_file_enter', /the tracepoint ext4_sync_file_enter only in its module ext4,/],
    ['kprobe/ext4_sync_file+4', /the function ext4_sync_file only in its module ext4,/],
    ['fmod_ret/ext4_sync_file', /the function ext4_sync_file only in its module ext4,/],
    ['fentry/ext4:ext4_sync_file', /the function ext4_sync_file only in its module ext4,/],
    ['fexit/show', /the function show only in its modules jbd2, veth,/],
    [
      'kprobe/start_kernel',
      /^this kernel has the function start_kernel, which is closed to tracing \(notrace, or gone after boot\)$/,
    ],
    ['kretprobe/notrace_here+8', /notrace_here, which is closed to tracing/],
    ['fentry/notrace_here', /notrace_here, which is closed to tracing/],
    ['kprobe/forbidden', /forbidden, which is closed to tracing/],
    ['kprobe.multi/zz_*', /^this kernel has no traceable function for the pattern zz_\*$/],
    ['kprobe.multi/__ftrace_invalid*', /no traceable function/],
    ['kprobe.multi/do_unlin', /no traceable function/],
    ['kretprobe.multi/ext4_re*', /has functions for the pattern ext4_re\* only in its module ext4, which a device/],
    ['kretsyscall/gone', /^this kernel has no system call gone$/],
  ])('misses %s', (section, sentence) => expect(asked(section)).toMatch(sentence));

  it('does not swear that an older kernel refuses what stands for several functions', () => {
    expect(asked('kprobe/twice', { release: '5.10.0' })).toMatch(/it may take no kprobe/);
  });

  it('misses every kprobe where there are none', () => {
    for (const section of ['kprobe/do_unlinkat', 'ksyscall/openat']) {
      expect(asked(section, { eventSources: folder })).toMatch(/no kprobes \(CONFIG_KPROBES\)/);
    }
    // ftrace sets these.
    expect(asked('kprobe.multi/*', { eventSources: folder })).toBeUndefined();
  });

  it('forbids kprobes only what their own list does, where nothing is traced or the kernel was built to allow it', () => {
    for (const change of [{ traceable: () => 'all' as const }, { mayProbeUntraceable: () => true }]) {
      expect(asked('kprobe/start_kernel', change)).toBeUndefined();
      expect(asked('kprobe/forbidden', change)).toMatch(/closed to tracing/);
    }
    expect(asked('fentry/notrace_here', { mayProbeUntraceable: () => true })).toMatch(/closed to tracing/);
    expect(asked('kprobe.multi/zz_*', { traceable: () => 'all' })).toBeUndefined();
  });

  it('judges nothing by what it cannot read', () => {
    const nothing = () => undefined;
    const blind = { events: undefined, eventSources: undefined, code: nothing, traceable: nothing, forbidden: nothing };
    const blindly = ['kprobe/forbidden', 'kprobe/start_kernel', 'fentry/notrace_here', 'kprobe.multi/zz_*'];
    for (const section of ['tracepoint/sched/gone', 'raw_tp/gone', 'kprobe/gone', 'ksyscall/gone', ...blindly]) {
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
