import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { closedToTracing } from './closed-to-tracing.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bpfleet-closed-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const said = (section: string, errnoName: string) => closedToTracing({ section, errnoName }, root);
const LIST = 'do_unlinkat\next4_open [ext4]\nvfs_read\n';

describe('closedToTracing', () => {
  it('names a function that the tracer does not list', () => {
    put('sys/kernel/tracing/available_filter_functions', LIST);
    for (const [section, errnoName] of [
      ['kprobe/start_kernel', 'EINVAL'],
      ['kretprobe/start_kernel', 'EINVAL'],
      ['fentry/start_kernel', 'ENOTSUPP'],
      ['fexit.s/start_kernel', 'EBUSY'],
    ] as const)
      expect(said(section, errnoName)).toMatch(/has the function start_kernel, which is closed to tracing/);
    // Part of a listed name is none.
    expect(said('kprobe/do_unlink', 'EINVAL')).toBeDefined();
  });

  it('says nothing of one that is listed, nor of another refusal', () => {
    put('sys/kernel/tracing/available_filter_functions', LIST);
    for (const [section, errnoName] of [
      ['kprobe/do_unlinkat', 'EINVAL'],
      ['kprobe/ext4_open', 'EINVAL'],
      ['fentry/vfs_read', 'ENOTSUPP'],
      ['kprobe/start_kernel', 'EPERM'],
      ['fentry/start_kernel', 'EPERM'],
      ['xdp', 'EBUSY'],
    ] as const)
      expect(said(section, errnoName)).toBeUndefined();
  });

  it('knows what kprobes forbid themselves, listed or not', () => {
    put('sys/kernel/debug/tracing/available_filter_functions', `${LIST}do_page_fault\n`);
    put('sys/kernel/debug/kprobes/blacklist', '0xffff800080010000-0xffff800080010040\tdo_page_fault\n');
    expect(said('kprobe/do_page_fault', 'EINVAL')).toBe('this kernel allows no kprobe in do_page_fault');
    expect(said('fentry/do_page_fault', 'EBUSY')).toBeUndefined();
  });

  it('says nothing where the kernel does not show its list', () => {
    expect(said('kprobe/start_kernel', 'EINVAL')).toBeUndefined();
    put('sys/kernel/tracing/available_filter_functions', '');
    expect(said('kprobe/start_kernel', 'EINVAL')).toBeUndefined();
  });
});
