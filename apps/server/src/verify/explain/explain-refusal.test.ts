import { describe, expect, it } from '@jest/globals';
import { explainRefusal } from './explain-refusal.js';

const noObject = Buffer.alloc(0);

/** What kernels wrote, shortened to the end that matters: [class, part of the sentence, log]. */
const SAID: [string, RegExp, string][] = [
  [
    'null_unchecked',
    /map value/,
    "7: (79) r0 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\nprocessed 7 insns",
  ],
  ['null_unchecked', /socket/, '9: (85) call bpf_sk_release#86\nR1 type=socket_or_null expected=sock_common, sock'],
  [
    'out_of_bounds',
    /32 to 39 .* has 32/,
    'invalid access to map value, value_size=32 off=32 size=8\nR0 max value is outside of the allowed memory range',
  ],
  ['out_of_bounds', /no bound/, 'math between map_value pointer and register with unbounded min value is not allowed'],
  ['out_of_bounds', /no bound/, "R2 min value is negative, either use unsigned or 'var &= const'"],
  [
    'packet_bounds_unchecked',
    /1 byte\(s\) at offset 14/,
    'invalid access to packet, off=14 size=1, R1(id=0,off=14,r=0)\nR1 offset is outside of the packet',
  ],
  ['untrusted_pointer', /vouch/, "R1 invalid mem access 'scalar'"],
  ['untrusted_pointer', /vouch/, "R1 invalid mem access 'inv'"],
  ['stack_too_large', /800 bytes/, 'combined stack size of 2 calls is 800. Too large'],
  ['stack_too_large', /600 bytes/, 'invalid write to stack R10 off=-600 size=8'],
  [
    'too_complex',
    /1000001 instructions/,
    'BPF program is too large. Processed 1000001 insn\nprocessed 1000001 insns (limit 1000000)',
  ],
  ['too_complex', /8193 jumps/, 'The sequence of 8193 jumps is too complex.'],
  ['loop_unbounded', /never ends/, 'infinite loop detected at insn 3'],
  ['loop_unbounded', /never ends/, 'back-edge from insn 12 to 4'],
  ['unreachable_code', /never be reached/, 'unreachable insn 1'],
  ['helper_not_allowed', /bpf_probe_write_user/, 'program of this type cannot use helper bpf_probe_write_user#36'],
  ['helper_not_allowed', /bpf_get_current_comm/, 'unknown func bpf_get_current_comm#16'],
  ['unknown_helper', /9999/, '1: (85) call unknown#9999\ninvalid func unknown#9999'],
  ['licence_missing', /GPL/, 'cannot call GPL-restricted function from non-GPL compatible program'],
  ['uninitialised', /never set/, '0: (bf) r0 = r7\nR7 !read_ok'],
  ['uninitialised', /without a return value/, '0: (95) exit\nR0 !read_ok'],
  ['stack_uninitialised', /never wrote/, 'invalid indirect read from stack R2 off -8+4 size 8'],
  ['misaligned_access', /8 bytes of stack/, 'misaligned stack access off 0+0+-13 size 8'],
  [
    'reference_unreleased',
    /given back/,
    'Unreleased reference id=2 alloc_insn=4\nBPF_EXIT instruction in main prog would lead to reference leak',
  ],
  ['context_access', /offset 200/, 'invalid bpf_context access off=200 size=4'],
  [
    'context_access',
    /index 7/,
    "func 'sched_switch' doesn't have 7-th argument\ninvalid bpf_context access off=64 size=8",
  ],
  [
    'kernel_type_missing',
    /task_struct___x\.not_there/,
    'failed to resolve CO-RE relocation <byte_off> [27] struct task_struct___x.not_there (0:0 @ offset 0)',
  ],
  [
    'kernel_target_missing',
    /no_such_tracepoint/,
    "libbpf: prog 'p': failed to find kernel BTF type ID of 'no_such_tracepoint': -3",
  ],
  [
    'kernel_function_missing',
    /bpf_no_such_kfunc/,
    "libbpf: extern (func ksym) 'bpf_no_such_kfunc': not found in kernel or module BTFs",
  ],
  ['kernel_function_missing', /`xfs_stats` .* of a module/, "libbpf: extern 'xfs_stats' (strong): not resolved"],
  [
    'kernel_function_missing',
    /otherwise than the program declares it/,
    "libbpf: extern (func ksym) 'f': func_proto [7] incompatible with vmlinux [99]",
  ],
  ['hook_missing', /^This kernel has no raw tracepoint gone\.$/, 'this kernel has no raw tracepoint gone'],
  [
    'hook_missing',
    /^This kernel has the function f only in its module m, which a device may not have loaded\.$/,
    'this kernel has the function f only in its module m, which a device may not have loaded',
  ],
  [
    'hook_missing',
    /^This kernel has the function f, which is closed to tracing \(.*\)\.$/,
    'this kernel has the function f, which is closed to tracing (notrace, or gone after boot)',
  ],
  ['hook_missing', /pattern zz_\*/, 'this kernel has no traceable function for the pattern zz_*'],
  ['hook_missing', /no kprobes/, 'this kernel has no kprobes (CONFIG_KPROBES)'],
  [
    'hook_missing',
    /2 functions named/,
    'this kernel has 2 functions named f, and so it takes no kprobe on any of them',
  ],
  ['memory_unavailable', /map `m`/, "libbpf: map 'm': failed to create: -ENOMEM"],
  ['memory_unavailable', /map `m`/, "libbpf: map 'm': failed to create: Cannot allocate memory(-12)"],
  ['map_refused', /-?E2BIG/, "libbpf: map 'm': failed to create: -E2BIG"],
  ['sleeps', /sleep/, 'helper call might sleep in a non-sleepable prog'],
  ['callback_needs_jit', /JIT/, 'callbacks are not allowed in non-JITed programs'],
  ['return_value', /\[0, 1\]/, 'At program exit the register R0 has smin=7 smax=7 should have been in [0, 1]'],
  ['wrong_argument', /Argument 1 .* ctx, .* map_ptr/, 'R1 type=ctx expected=map_ptr'],
  ['pointer_leak', /kernel address/, 'R0 leaks addr as return value'],
];

describe('explainRefusal', () => {
  it.each(SAID)('%s: %s', (refusalClass, sentence, log) => {
    const explained = explainRefusal({ program: 'p', log, errnoName: 'EACCES' }, noObject);
    expect(explained.class).toBe(refusalClass);
    expect(explained.sentence).toMatch(sentence);
    expect(explained.advice).toMatch(/\.$|;`/);
    expect(explained.log).toBe(log);
  });

  it.each([
    ['EPERM', 'not_permitted'],
    ['ENOMEM', 'memory_unavailable'],
    ['ENOTSUPP', 'atomic_unsupported'],
    ['EINVAL', 'other'],
  ])('judges a silent %s by its number', (errnoName, refusalClass) => {
    expect(explainRefusal({ program: 'p', log: '', errnoName }, noObject).class).toBe(refusalClass);
  });

  it("takes the place from the kernel's own comment when the object has no lines", () => {
    const log = [
      '; return *v; @ a.bpf.c:8',
      '6: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=m,ks=4,vs=32)',
      ';  @ a.bpf.c:0',
      '7: (79) r0 = *(u64 *)(r0 +0)',
      "R0 invalid mem access 'map_value_or_null'",
    ].join('\n');
    expect(explainRefusal({ program: 'p', log }, noObject).source).toEqual({
      file: 'a.bpf.c',
      line: 8,
      text: 'return *v;',
    });
  });

  it('repeats the last words of a kernel that says something new', () => {
    const log = '3: (95) exit\nthe moon is in the wrong phase\nprocessed 3 insns (limit 1000000)';
    const explained = explainRefusal({ program: 'p', log, errnoName: 'EINVAL' }, noObject);
    expect(explained).toMatchObject({
      class: 'other',
      sentence: expect.stringContaining('the moon is in the wrong phase'),
    });
  });

  it('is not misled by source text that reads like a verdict', () => {
    const log = '; /* infinite loop detected at insn 3 */ @ a.bpf.c:2\n0: (bf) r0 = r7\nR7 !read_ok';
    expect(explainRefusal({ program: 'p', log }, noObject).class).toBe('uninitialised');
  });

  it('keeps the end of a log that is too long', () => {
    const log = `${'x'.repeat(600_000)}\nR7 !read_ok`;
    const explained = explainRefusal({ program: 'p', log }, noObject);
    expect(explained.class).toBe('uninitialised');
    expect(explained.log.length).toBe(256 * 1024);
  });
});
