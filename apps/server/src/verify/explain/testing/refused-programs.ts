import type { RefusalClass } from '../rules/refusal-rule.js';

// Programs that a kernel refuses, one for each kind of mistake; the explanations are tested with what a real kernel says of them.

export const GPL = 'char LICENSE[] SEC("license") = "GPL";';
export const MAPS = `struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64[4]); } m SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } ring SEC(".maps");
struct locked { struct bpf_spin_lock lock; u32 n; };
const volatile u32 constant = 1;
`;
const LOCKS = `struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, struct locked); } locks SEC(".maps");
`;
const LOCKED = `u32 zero = 0;
  struct locked *l = bpf_map_lookup_elem(&locks, &zero);
  if (!l)
    return 0;
`;
const LOOKUP = 'u32 key = 1;\n  u64 *v = bpf_map_lookup_elem(&m, &key);';
export const raw = (body: string) =>
  `SEC("raw_tp/sys_enter")\nint p(struct bpf_raw_tracepoint_args *ctx)\n{\n  ${body}\n}\n`;
const xdp = (body: string) => `SEC("xdp")\nint p(struct xdp_md *ctx)\n{\n  ${body}\n}\n`;

const scheduled = (body: string) =>
  `SEC("tp_btf/sched_switch")\nint BPF_PROG(p, bool preempt, struct task_struct *prev, struct task_struct *next)\n{\n  ${body}\n}\n`;
/** Nine functions, each calling the next: one frame more than the kernel allows. */
const NINE_DEEP = Array.from({ length: 9 }, (_, i) => 9 - i)
  .map(
    (n) =>
      `static __noinline int f${n}(u64 a)\n{\n  return ${n === 9 ? 'a' : `f${n + 1}(a + ${n})`} + bpf_get_prandom_u32();\n}\n`,
  )
  .join('');

/** [class, part of the sentence, the line that is pointed at, C]; undefined where no line of the source is meant. */
export const REFUSED_PROGRAMS: readonly [RefusalClass, RegExp, string | undefined, string][] = [
  ['null_unchecked', /map value/, 'return *v;', raw(`${LOOKUP}\n  return *v;`)],
  [
    'out_of_bounds',
    /no bound/,
    'return v[ctx->args[1]];',
    raw(`${LOOKUP}\n  if (!v)\n    return 0;\n  return v[ctx->args[1]];`),
  ],
  [
    'out_of_bounds',
    /32 to 39 of a map value that has 32/,
    'return v[i];',
    raw(`${LOOKUP}\n  if (!v)\n    return 0;\n  u64 i = ctx->args[1];\n  if (i > 4)\n    return 0;\n  return v[i];`),
  ],
  [
    'untrusted_pointer',
    /vouch/,
    'return task->pid;',
    raw('struct task_struct *task = (void *)ctx->args[0];\n  return task->pid;'),
  ],
  [
    'packet_bounds_unchecked',
    /offset 14/,
    'return data[14];',
    xdp('char *data = (void *)(long)ctx->data;\n  return data[14];'),
  ],
  [
    'too_complex',
    /1000001/,
    'for (int i = 0; i < 10000000; i++)',
    raw('u64 sum = 0;\n  for (int i = 0; i < 10000000; i++)\n    sum += bpf_ktime_get_ns();\n  return sum;'),
  ],
  ['unreachable_code', /never be reached/, 'return 0;', raw('asm volatile("1: goto 1b");\n  return 0;')],
  [
    'reference_unreleased',
    /given back/,
    'u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);',
    raw('u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);\n  if (!e)\n    return 0;\n  *e = 1;\n  return 0;'),
  ],
  ['uninitialised', /never set/, 'asm volatile("r0 = r7");', raw('asm volatile("r0 = r7");\n  return 0;')],
  [
    'misaligned_access',
    /multiple of 8/,
    'asm volatile("r1 = 0; *(u64 *)(r10 - 8) = r1; r0 = *(u64 *)(r10 - 5);" ::: "r0", "r1");',
    raw('asm volatile("r1 = 0; *(u64 *)(r10 - 8) = r1; r0 = *(u64 *)(r10 - 5);" ::: "r0", "r1");\n  return 0;'),
  ],
  [
    'helper_not_allowed',
    /bpf_probe_write_user/,
    'return bpf_probe_write_user((void *)1, b, 0);',
    xdp('char b[8] = {};\n  return bpf_probe_write_user((void *)1, b, 0);'),
  ],
  [
    'unknown_helper',
    /9999/,
    'return (nope)(1);',
    `static long (*nope)(int) = (void *)9999;\n${xdp('return (nope)(1);')}`,
  ],
  ['context_access', /offset 200/, 'return *(u32 *)((char *)ctx + 200);', xdp('return *(u32 *)((char *)ctx + 200);')],
  [
    'wrong_argument',
    /must be: map_ptr/,
    'return bpf_map_update_elem(ctx, k, k, 0);',
    raw('u64 k[2] = {};\n  return bpf_map_update_elem(ctx, k, k, 0);'),
  ],
  [
    'sleeps',
    /may sleep/,
    'return bpf_copy_from_user(b, 16, (void *)ctx->args[0]);',
    raw('char b[16] = {};\n  return bpf_copy_from_user(b, 16, (void *)ctx->args[0]);'),
  ],
  ['return_value', /may return/, 'return 7;', 'SEC("cgroup/connect4")\nint p(void *ctx)\n{\n  return 7;\n}\n'],
  [
    'kernel_type_missing',
    /no `struct task_struct___x\.gone`/,
    'return BPF_CORE_READ(task, gone);',
    `struct task_struct___x { int gone; } __attribute__((preserve_access_index));\n${raw('struct task_struct___x *task = (void *)bpf_get_current_task();\n  return BPF_CORE_READ(task, gone);')}`,
  ],
  [
    'kernel_target_missing',
    /no_such_tracepoint/,
    undefined,
    'SEC("tp_btf/no_such_tracepoint")\nint p(void *ctx)\n{\n  return 0;\n}\n',
  ],
  [
    'kernel_function_missing',
    /no_such_kfunc/,
    undefined,
    `extern int no_such_kfunc(int) __ksym;\n${raw('return no_such_kfunc(1);')}`,
  ],
  [
    'stack_too_large',
    /600 bytes/,
    'asm volatile("r1 = 0; *(u64 *)(r10 - 600) = r1;" ::: "r1");',
    raw('asm volatile("r1 = 0; *(u64 *)(r10 - 600) = r1;" ::: "r1");\n  return 0;'),
  ],
  ['loop_unbounded', /never ends/, 'while (n)', raw('volatile u64 n = 1;\n  while (n)\n    ;\n  return 0;')],
  [
    'pointer_leak',
    /kernel address/,
    'asm volatile("r2 = r1; r1 += r2; r0 = 0;" ::: "r0", "r1", "r2");',
    raw('asm volatile("r2 = r1; r1 += r2; r0 = 0;" ::: "r0", "r1", "r2");\n  return 0;'),
  ],
  ['region_left_open', /bpf_spin_lock/, '}', LOCKS + xdp(`${LOCKED}  bpf_spin_lock(&l->lock);\n  return XDP_PASS;`)],
  [
    'region_left_open',
    /bpf_rcu_read_lock/,
    'return 0;',
    `extern void bpf_rcu_read_lock(void) __ksym;\n${raw('bpf_rcu_read_lock();\n  return 0;')}`,
  ],
  [
    'call_under_lock',
    /holds a lock/,
    'bpf_ktime_get_ns();',
    LOCKS +
      xdp(
        `${LOCKED}  bpf_spin_lock(&l->lock);\n  bpf_ktime_get_ns();\n  bpf_spin_unlock(&l->lock);\n  return XDP_PASS;`,
      ),
  ],
  [
    'type_forbids_feature',
    /tracing program may not .* `bpf_spin_lock`/,
    undefined,
    LOCKS + raw(`${LOCKED}  bpf_spin_lock(&l->lock);\n  l->n++;\n  bpf_spin_unlock(&l->lock);\n  return 0;`),
  ],
  [
    'argument_not_constant',
    /Argument 2/,
    'u64 *e = bpf_ringbuf_reserve(&ring, ctx->args[1] & 63, 0);',
    raw(
      'u64 *e = bpf_ringbuf_reserve(&ring, ctx->args[1] & 63, 0);\n  if (e)\n    bpf_ringbuf_discard(e, 0);\n  return 0;',
    ),
  ],
  [
    'map_unfit',
    /no keys/,
    'return bpf_map_update_elem(&ring, &k, &k, 0);',
    raw('u64 k = 0;\n  return bpf_map_update_elem(&ring, &k, &k, 0);'),
  ],
  [
    'map_unfit',
    /bpf_ringbuf_output/,
    'return bpf_ringbuf_output(&m, &k, 8, 0);',
    raw('u64 k = 0;\n  return bpf_ringbuf_output(&m, &k, 8, 0);'),
  ],
  ['map_read_only', /constant/, '*(volatile u32 *)&constant = 2;', raw('*(volatile u32 *)&constant = 2;\n  return 0;')],
  [
    'dynptr_uninitialised',
    /dynptr/,
    'return bpf_dynptr_write(&d, 0, &d, 4, 0);',
    raw('struct bpf_dynptr d = {};\n  return bpf_dynptr_write(&d, 0, &d, 4, 0);'),
  ],
  ['call_too_deep', /9 deep/, 'return f8(a + 7) + bpf_get_prandom_u32();', NINE_DEEP + raw('return f1(ctx->args[1]);')],
  [
    'packet_read_only',
    /not change/,
    'data[0] = 0;',
    `SEC("cgroup_skb/egress")\nint p(struct __sk_buff *ctx)\n{\n  char *data = (void *)(long)ctx->data;\n  if (data + 1 > (char *)(long)ctx->data_end)\n    return 1;\n  data[0] = 0;\n  return 1;\n}\n`,
  ],
  ['kernel_read_only', /own memory/, 'prev->prio = 1;', scheduled('prev->prio = 1;\n  return 0;')],
  [
    'struct_bounds',
    /1000000 of `struct task_struct`/,
    'return *(u64 *)((char *)prev + 1000000);',
    scheduled('return *(u64 *)((char *)prev + 1000000);'),
  ],
  [
    'kernel_function_forbidden',
    /bpf_dynptr_from_skb/,
    'return bpf_dynptr_from_skb((void *)ctx, 0, &d);',
    `extern int bpf_dynptr_from_skb(struct __sk_buff *s, u64 flags, struct bpf_dynptr *ptr) __ksym;\n${raw('struct bpf_dynptr d;\n  return bpf_dynptr_from_skb((void *)ctx, 0, &d);')}`,
  ],
  [
    'mixed_pointers',
    /different kinds/,
    'asm volatile("r3 = %1; if %2 > 7 goto 2f; r3 = %0; 2: r4 = *(u32 *)(r3 + 0);" :: "r"(v), "r"(ctx), "r"(i) : "r3", "r4");',
    xdp(
      'u32 key = 1, i = ctx->ingress_ifindex;\n  u64 *v = bpf_map_lookup_elem(&m, &key);\n  if (!v)\n    return 0;\n  asm volatile("r3 = %1; if %2 > 7 goto 2f; r3 = %0; 2: r4 = *(u32 *)(r3 + 0);" :: "r"(v), "r"(ctx), "r"(i) : "r3", "r4");\n  return 2;',
    ),
  ],
  [
    'invalid_instruction',
    /div by zero/,
    'asm volatile("r0 = 1; r0 /= 0;" ::: "r0");',
    raw('asm volatile("r0 = 1; r0 /= 0;" ::: "r0");\n  return 0;'),
  ],
  [
    'special_field',
    /bpf_spin_lock/,
    '*(volatile u32 *)&l->lock = 1;',
    LOCKS + xdp(`${LOCKED}  *(volatile u32 *)&l->lock = 1;\n  return 2;`),
  ],
  [
    'return_value',
    /7/,
    'return 7;',
    `static int each(u32 i, void *d)\n{\n  return 7;\n}\n${raw('bpf_loop(3, each, 0, 0);\n  return 0;')}`,
  ],
  [
    'context_access',
    /computes with its context/,
    'return *(u64 *)((char *)ctx + i);',
    raw('u64 i = bpf_get_prandom_u32() & 8;\n  return *(u64 *)((char *)ctx + i);'),
  ],
  [
    'memory_unavailable',
    /`huge`/,
    undefined,
    `struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2000000000); __type(key, u32); __type(value, u64[512]); } huge SEC(".maps");\n${raw('u32 k = 0;\n  return bpf_map_lookup_elem(&huge, &k) != 0;')}`,
  ],
  [
    'map_refused',
    /`wide`/,
    undefined,
    // No kernel keeps 16 MiB in one element of a hash: KMALLOC_MAX_SIZE is four.
    `struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1); __type(key, u32); __type(value, u64[2097152]); } wide SEC(".maps");\n${raw('u32 k = 0;\n  return bpf_map_lookup_elem(&wide, &k) != 0;')}`,
  ],
];

/** The same of what is refused where something is missing, and what: a name of WITHOUT (verify-under.ts). */
export const REFUSED_WITHOUT: readonly ['btf' | 'perfmon', RefusalClass, RegExp, string | undefined, string][] = [
  [
    'btf',
    'kernel_btf_missing',
    /carries no BTF/,
    undefined,
    raw('struct task_struct *task = (void *)bpf_get_current_task();\n  return BPF_CORE_READ(task, pid);'),
  ],
  ['btf', 'kernel_btf_missing', /carries no BTF/, undefined, scheduled('return 0;')],
  ['perfmon', 'not_permitted', /may not do so here/, undefined, raw('return 0;')],
  [
    'perfmon',
    'stack_uninitialised',
    /never wrote/,
    'return bpf_map_lookup_elem(&m, &key) != 0;',
    xdp('u32 key;\n  return bpf_map_lookup_elem(&m, &key) != 0;'),
  ],
];
