import { release } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { compileBpf } from '../../test/compile-bpf.js';
import { FOREIGN_KERNELS, kernelBtf } from '../../test/kernels.js';
import { readObject } from '../object/object.js';
import type { Btf } from '../types/btf.js';
import { parseBtf } from '../types/parse.js';
import { findMember } from './match.js';
import { FIELD_CHANGES, TYPE_CHANGES } from './renames.js';
import type { FieldChange } from './renames.js';
import { resolveCoreRelocations } from './resolve.js';
import { StepBudget } from './step-budget.js';

/** `arm64-6.12` and `6.12.9-amd64` → 6012, so that 6.12 is later than 6.2. */
function orderOf(version: string): number {
  const [, major = '', minor = ''] = /(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) * 1000 + Number(minor);
}

function idOf(btf: Btf, type: string): number | undefined {
  return (['struct', 'union', 'typedef'] as const).flatMap((kind) => btf.idsByName(kind, type))[0];
}

/** What is wrong with an entry in the eyes of one kernel; a kernel that was built without the type sees nothing. */
function faultOf(btf: Btf, order: number, change: FieldChange): string | undefined {
  const { type, field, now, retyped, since } = change;
  const id = idOf(btf, type);
  if (id === undefined) return undefined;
  const has = (name: string): boolean =>
    findMember(btf, id, name, new StepBudget(1_000_000, 'a look-up')) !== undefined;
  const others = FIELD_CHANGES.filter((other) => other !== change && other.type === type);
  if (order >= orderOf(since)) {
    if (retyped === undefined && has(field)) return `${field} is still there`;
    const renamedAgain = others.some((other) => other.field === now && order >= orderOf(other.since));
    return now === undefined || has(now) || renamedAgain ? undefined : `there is no ${now}`;
  }
  const goneBefore = others.some((other) => other.field === field && order >= orderOf(other.since));
  const notYet = others.some((other) => other.now === field && order < orderOf(other.since));
  // Stable kernels have taken some renames from later ones.
  const isThere = has(field) || (now !== undefined && has(now));
  return isThere || goneBefore || notYet ? undefined : `${field} is gone already`;
}

describe.each(FOREIGN_KERNELS)('what is said of renames, held against %s', (kernel) => {
  const btf = parseBtf(kernelBtf(kernel));
  const order = orderOf(kernel);

  it('is true of every field', () => {
    const faults = FIELD_CHANGES.map((change) => [`${change.type}.${change.field}`, faultOf(btf, order, change)]);
    expect(faults.filter(([, fault]) => fault !== undefined)).toEqual([]);
  });

  it('is true of every type', () => {
    for (const { type, now, since } of TYPE_CHANGES) {
      const [before, after] = [type, now ?? ''].map((name) => idOf(btf, name) !== undefined);
      expect([type, before]).toEqual([type, order < orderOf(since)]);
      if (now !== undefined && order >= orderOf(since)) expect([now, after]).toEqual([now, true]);
    }
  });
});

describeWithKernel('what is said of renames, held against this kernel', ['btf'], () => {
  it('calls no field gone that is there', () => {
    const btf = parseBtf(kernelBtf('host'));
    const order = orderOf(release());
    const due = FIELD_CHANGES.filter(({ since }) => order >= orderOf(since));
    const faults = due.map((change) => [`${change.type}.${change.field}`, faultOf(btf, order, change)]);
    expect(faults.filter(([, fault]) => fault?.endsWith('still there'))).toEqual([]);
  });
});

describe('refusals', () => {
  const PREAMBLE = 'volatile __u64 sink;\n';

  /** What is said of one read, against a kernel made of C or one that is kept. */
  function reasonFor(types: string, root: string, read: string, kernel: string): string | undefined {
    const pushed = `#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)\n${types}\n#pragma clang attribute pop\n`;
    const source = `${PREAMBLE}${pushed}SEC("raw_tp/x") int p(${root} *s) { sink = (__u64)${read}; return 0; }`;
    const target = FOREIGN_KERNELS.includes(kernel) ? parseBtf(kernelBtf(kernel)) : readObject(compileBpf(kernel)).btf;
    return resolveCoreRelocations(readObject(compileBpf(source)), target).relocations.find(({ reason }) => reason)
      ?.reason;
  }

  it.each([
    [
      'struct task_struct { int __state; };',
      'struct task_struct',
      's->__state',
      'arm64-5.10',
      '`task_struct.__state` came with 5.14, and this kernel has `state` instead',
    ],
    [
      'struct inode { long i_ctime_sec; };',
      'struct inode',
      's->i_ctime_sec',
      'arm64-6.1',
      '`inode.i_ctime_sec` came with 6.11, and this kernel has `i_ctime` instead',
    ],
    [
      'struct timespec64 { long tv_sec; }; struct inode { struct timespec64 i_ctime; };',
      'struct inode',
      's->i_ctime.tv_sec',
      'arm64-6.12',
      '`inode.i_ctime` is gone in this kernel; it has `i_ctime_sec` (since 6.11): the nanoseconds are `i_ctime_nsec`',
    ],
    [
      'struct request { void *rq_disk; };',
      'struct request',
      's->rq_disk',
      'arm64-6.1',
      '`request.rq_disk` is gone in this kernel (since 5.17): use `q->disk`',
    ],
    [
      'struct cap { unsigned cap[2]; }; typedef struct kernel_cap_struct { unsigned cap[2]; } kernel_cap_t; struct cred { kernel_cap_t cap_effective; };',
      'struct cred',
      's->cap_effective.cap[1]',
      'arm64-6.12',
      '`cred.cap_effective.cap` is gone in this kernel; it has `val` (since 6.3)',
    ],
    [
      'struct mm_rss_stat { long count[4]; }; struct mm_struct { struct mm_rss_stat rss_stat; };',
      'struct mm_struct',
      's->rss_stat.count[0]',
      'arm64-6.12',
      '`mm_struct.rss_stat` is an array in this kernel, and the program expects a struct mm_rss_stat; since 6.2 it is an array of `percpu_counter`, read as `rss_stat[i].count`, and before it `rss_stat.count[i].counter`',
    ],
    [
      'struct trace_event_raw_block_rq_complete { int dev; };',
      'struct trace_event_raw_block_rq_complete',
      's->dev',
      'arm64-6.1',
      'there is no type `struct trace_event_raw_block_rq_complete` in this kernel; since 5.18 it is `trace_event_raw_block_rq_completion`',
    ],
    [
      'struct trace_event_raw_block_rq_completion { int dev; };',
      'struct trace_event_raw_block_rq_completion',
      's->dev',
      'arm64-5.10',
      'there is no type `struct trace_event_raw_block_rq_completion` in this kernel; it came with 5.18, and before it there is `trace_event_raw_block_rq_complete`',
    ],
    [
      'struct trace_event_raw_kmem_alloc { int dev; };',
      'struct trace_event_raw_kmem_alloc',
      's->dev',
      'arm64-6.1',
      'there is no type `struct trace_event_raw_kmem_alloc` in this kernel; since 6.1 there is one for each tracepoint, `trace_event_raw_kmalloc` and `trace_event_raw_kmem_cache_alloc`',
    ],
  ])('of %s (%s: %s) on %s', (types, root, read, kernel, reason) => {
    expect(reasonFor(types, root, read, kernel)).toBe(reason);
  });
});
