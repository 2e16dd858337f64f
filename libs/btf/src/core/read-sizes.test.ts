import { beforeAll, describe, expect, it } from '@jest/globals';
import { compileBpf } from '../../test/compile-bpf.js';
import { kernelBtf } from '../../test/kernels.js';
import { readObject } from '../object/object.js';
import type { Btf } from '../types/btf.js';
import { parseBtf } from '../types/parse.js';
import { findLongReads, findReadMismatches } from './read-sizes.js';
import { resolveCoreRelocations } from './resolve.js';

const PREAMBLE = `
#define OFFSET(x) __builtin_preserve_field_info(x, 0)
#define BYTES(x) __builtin_preserve_field_info(x, 1)
#define CORE_READ(to, from) probe_read(to, sizeof(*(to)), __builtin_preserve_access_index(from))
static long (*probe_read)(void *to, __u32 bytes, const void *from) = (void *)113;
static long (*probe_read_str)(void *to, __u32 bytes, const void *from) = (void *)115;
struct mm_struct { unsigned long start_code; };
struct task_struct { int pid; unsigned long nvcsw; struct mm_struct *mm; char comm[16]; unsigned in_execve : 1; __u64 start_time; } __attribute__((preserve_access_index));
struct sock { long sk_rcvtimeo; int sk_rcvbuf; } __attribute__((preserve_access_index));
volatile __u64 sink;
`;

let arm: Btf;
let arm64: Btf;
beforeAll(() => {
  arm = parseBtf(kernelBtf('armhf-6.1'));
  arm64 = parseBtf(kernelBtf('arm64-6.1'));
});

function mismatches(source: string, kernel: Btf) {
  const object = readObject(compileBpf(PREAMBLE + source));
  return findReadMismatches(object, resolveCoreRelocations(object, kernel));
}

describe('findReadMismatches', () => {
  it('names an 8-byte read of a field of 4 bytes, with the line', () => {
    const source = `SEC("raw_tp/x") int p(struct task_struct *t) { unsigned long n;
	CORE_READ(&n, &t->nvcsw);
	sink = n; return 0; }`;
    expect(mismatches(source, arm)).toMatchObject([
      {
        kind: 'past_end',
        program: 'p',
        field: 'task_struct.nvcsw',
        readBytes: 8,
        fieldBytes: 4,
        line: { text: expect.stringContaining('CORE_READ(&n, &t->nvcsw)') },
        reason: expect.stringContaining('8 bytes are read of `task_struct.nvcsw`, which has 4 in this kernel'),
      },
    ]);
    expect(mismatches(source, arm64)).toEqual([]);
  });

  it('names each step of a chain of pointers, also in subprograms', () => {
    const source = `
__attribute__((noinline)) static __u64 start(struct task_struct *t) { struct mm_struct *mm = 0; CORE_READ(&mm, &t->mm); return (__u64)mm; }
SEC("raw_tp/x") int p(struct task_struct *t) { sink = start(t) + 1; return 0; }
SEC("raw_tp/y") int q(struct task_struct *t) { sink = start(t) + 2; return 0; }`;
    const found = mismatches(source, arm);
    expect(found.map(({ program, field, kind }) => [program, field, kind])).toEqual([
      ['p', 'task_struct.mm', 'past_end'],
      ['q', 'task_struct.mm', 'past_end'],
    ]);
    expect(found[0]?.line?.text).toContain('CORE_READ(&mm, &t->mm)');
  });

  it('leaves alone what the compiler reads directly, and what asks for the size', () => {
    const source = `
SEC("raw_tp/x") int p(struct task_struct *t) { sink = t->nvcsw + (__u64)t->mm; return 0; }
SEC("raw_tp/y") int q(struct task_struct *t) { __u64 n = 0; probe_read(&n, BYTES(t->nvcsw), (void *)t + OFFSET(t->nvcsw)); sink = n; return 0; }
SEC("raw_tp/z") int r(struct task_struct *t) { const void *at = (void *)t + OFFSET(t->nvcsw); __u64 n = 0;
  switch (BYTES(t->nvcsw)) { case 4: n = *(volatile __u32 *)at; break; case 8: n = *(volatile __u64 *)at; break; } sink = n; return 0; }`;
    expect(mismatches(source, arm)).toEqual([]);
  });

  it('leaves alone strings, equal sizes, and small reads that the author meant', () => {
    const source = `
SEC("raw_tp/x") int p(struct task_struct *t) { char comm[64]; int pid; __u64 start; __u32 low;
  probe_read_str(comm, 64, __builtin_preserve_access_index(&t->comm)); CORE_READ(&pid, &t->pid); CORE_READ(&start, &t->start_time);
  probe_read(&low, 4, __builtin_preserve_access_index(&t->nvcsw)); sink = pid + start + low + comm[2]; return 0; }`;
    expect(mismatches(source, arm)).toEqual([]);
  });

  it('follows an address along both ways of a branch, and past loops', () => {
    const source = `
SEC("raw_tp/x") int p(struct task_struct *t) { const void *at = __builtin_preserve_access_index(&t->nvcsw); __u64 n = 0; __u32 low = 0;
  if (sink & 1) { probe_read(&low, 4, at); sink = low; } else { if (sink & 2) sink += 7; probe_read(&n, 8, at); sink = n; } return 0; }
SEC("raw_tp/y") int q(struct task_struct *t) { const void *at = __builtin_preserve_access_index(&t->nvcsw); __u64 n = 0;
  for (int i = 0; i < sink; i++) sink += 3; probe_read(&n, 8, at); sink = n; return 0; }`;
    expect(mismatches(source, arm).map(({ program, readBytes, kind }) => [program, readBytes, kind])).toEqual([
      ['p', 8, 'past_end'],
      ['q', 8, 'past_end'],
    ]);
  });

  it('names fields that became wider', () => {
    const source = `struct task_struct___s { unsigned short flags; } __attribute__((preserve_access_index));
SEC("raw_tp/x") int p(struct task_struct___s *t) { unsigned short n; CORE_READ(&n, &t->flags); sink = n; return 0; }`;
    expect(mismatches(source, arm64)).toMatchObject([{ kind: 'truncated', readBytes: 2, fieldBytes: 4 }]);
  });

  it('names direct loads of signed fields, which libbpf makes invalid', () => {
    const source = `SEC("raw_tp/x") int p(struct sock *s) { sink = s->sk_rcvtimeo; return 0; }`;
    expect(mismatches(source, arm)).toMatchObject([
      { kind: 'unsafe_resize', field: 'sock.sk_rcvtimeo', readBytes: 8, fieldBytes: 4, instruction: 0 },
    ]);
    expect(mismatches(source, arm64)).toEqual([]);
  });
});

describe('findLongReads', () => {
  const longReads = (source: string) => findLongReads(readObject(compileBpf(PREAMBLE + source)));

  it('names what any kernel of 32 bits would get wrong, without one', () => {
    const found = longReads(`
SEC("raw_tp/x") int p(struct task_struct *t) { unsigned long n; struct mm_struct *mm; int pid; __u64 start;
  CORE_READ(&n, &t->nvcsw); CORE_READ(&mm, &t->mm); CORE_READ(&pid, &t->pid); CORE_READ(&start, &t->start_time);
  sink = n + pid + start + (__u64)mm; return 0; }
SEC("raw_tp/z") int r(struct sock *s) { sink = s->sk_rcvtimeo; return 0; }`);
    expect(
      found.map(({ program, field, kind, fieldBytes, isPointer }) => [program, field, kind, fieldBytes, isPointer]),
    ).toEqual([
      ['p', 'task_struct.nvcsw', 'past_end', 4, false],
      ['p', 'task_struct.mm', 'past_end', 4, true],
      ['r', 'sock.sk_rcvtimeo', 'unsafe_resize', 4, false],
    ]);
    expect(found[0]?.reason).toBe(
      '8 bytes are read of `task_struct.nvcsw`, which has 4 on kernels of 32 bits: the value is garbage; use BPF_CORE_READ_BITFIELD_PROBED, or let the compiler read the field directly',
    );
    expect(found[1]?.reason).toContain('read bpf_core_field_size() bytes');
  });

  it('agrees with a kernel of 32 bits on what it names', () => {
    const source = `SEC("raw_tp/x") int p(struct task_struct *t) { unsigned long n; struct mm_struct *mm; unsigned long start;
  CORE_READ(&n, &t->nvcsw); CORE_READ(&mm, &t->mm); CORE_READ(&start, &mm->start_code); sink = n + start; return 0; }`;
    const place = ({ instruction, field, kind }: (typeof found)[number]) => [instruction, field, kind];
    const found = longReads(source);
    expect(found.map(place)).toEqual(mismatches(source, arm).map(place));
    expect(found).toHaveLength(3);
  });
});
