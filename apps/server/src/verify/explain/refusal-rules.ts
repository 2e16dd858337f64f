/** Why a kernel refused a program, in the few kinds there are to act on. */
export type RefusalClass =
  | 'atomic_unsupported'
  | 'callback_needs_jit'
  | 'context_access'
  | 'helper_not_allowed'
  | 'kernel_function_missing'
  | 'kernel_target_missing'
  | 'kernel_type_missing'
  | 'licence_missing'
  | 'loop_unbounded'
  | 'memory_unavailable'
  | 'misaligned_access'
  | 'not_permitted'
  | 'null_unchecked'
  | 'other'
  | 'out_of_bounds'
  | 'packet_bounds_unchecked'
  | 'pointer_leak'
  | 'reference_unreleased'
  | 'return_value'
  | 'sleeps'
  | 'stack_too_large'
  | 'stack_uninitialised'
  | 'too_complex'
  | 'uninitialised'
  | 'unknown_helper'
  | 'unreachable_code'
  | 'untrusted_pointer'
  | 'wrong_argument';

export interface RefusalRule {
  class: RefusalClass;
  pattern: RegExp;
  sentence: (match: RegExpExecArray) => string;
  advice: string;
  /** The instruction to point at, where the message names one that is not the last the verifier looked at. */
  instruction?: (match: RegExpExecArray) => number;
}

const CHECK_NULL =
  'Compare the pointer with NULL and return before it is used: a lookup finds nothing when the key is not there.';
const MASK =
  'Bound the index or length just before its use, with `if (n >= MAX) return 0;` or `n &= MAX - 1;`, on an unsigned variable.';

/**
 * In the order of trial: what names its cause exactly comes before what many causes end in. The wordings are those of
 * 5.10 to 6.18; the kernel promises none of them.
 */
export const REFUSAL_RULES: readonly RefusalRule[] = [
  {
    class: 'kernel_type_missing',
    pattern: /failed to resolve CO-RE relocation <\w+> \[\d+\] (.+?) \(/,
    sentence: (m) => `This kernel has no \`${m[1]}\`.`,
    advice:
      'Guard the access with bpf_core_field_exists() or bpf_core_type_exists(), or name the other form with a ___flavour.',
  },
  {
    class: 'kernel_type_missing',
    pattern: /invalid CO-RE relocation|invalid func unknown#195896080/,
    sentence: () => 'The program reads a kernel type or field that this kernel does not have.',
    advice:
      'Guard the access with bpf_core_field_exists() or bpf_core_type_exists(), or name the other form with a ___flavour.',
  },
  {
    class: 'kernel_target_missing',
    pattern: /failed to find kernel BTF type ID of '([^']+)'/,
    sentence: (m) => `This kernel has nothing named \`${m[1]}\` to attach to.`,
    advice:
      'Check the name against this kernel; a raw_tp needs no BTF, and a function may have been inlined or renamed.',
  },
  {
    class: 'kernel_function_missing',
    pattern: /extern \((?:func|var) ksym\) '([^']+)'[^:]*: (?:not found|incompatible)/,
    sentence: (m) => `This kernel does not offer \`${m[1]}\` to programs.`,
    advice: 'Declare it __weak and test bpf_ksym_exists() before the call, or do without it.',
  },
  {
    class: 'licence_missing',
    pattern: /cannot call GPL-restricted (?:function|helper)|GPL-compatible license|from non-GPL compatible program/,
    sentence: () => 'A helper or function that the program calls is only for GPL-compatible programs.',
    advice: 'Add `char LICENSE[] SEC("license") = "GPL";` if you may, or avoid the helper.',
  },
  {
    class: 'helper_not_allowed',
    pattern: /program of this type cannot use helper (\w+)#(\d+)|unknown func ((?!unknown)\w+)#(\d+)/,
    sentence: (m) => `A program of this type may not call \`${m[1] ?? m[3]}\` on this kernel.`,
    advice: 'Use another program type, or a helper that this type has; what a type may call differs between kernels.',
  },
  {
    class: 'unknown_helper',
    pattern: /invalid func unknown#(\d+)|invalid func ([\w#]+)/,
    sentence: (m) => `This kernel has no helper number ${m[1] ?? m[2]}: it is older than the helper.`,
    advice:
      'Require a newer kernel in the manifest, or test with bpf_core_enum_value_exists(enum bpf_func_id, …) before the call.',
  },
  {
    class: 'sleeps',
    pattern: /helper call might sleep in a non-sleepable prog|sleepable (?:helper|kfunc)[^\n]*non-sleepable/,
    sentence: () => 'The program calls a helper that may sleep, where nothing may sleep.',
    advice:
      'Use a variant that does not fault (bpf_probe_read_user for bpf_copy_from_user), or a sleepable section such as fentry.s/.',
  },
  {
    class: 'callback_needs_jit',
    pattern: /callbacks are not allowed in non-JITed programs/,
    sentence: () => 'The program passes a callback, and this kernel runs BPF without its JIT.',
    advice: 'Enable net.core.bpf_jit_enable on the device, or replace bpf_loop() by a bounded loop.',
  },
  {
    class: 'reference_unreleased',
    pattern: /Unreleased reference id=\d+ alloc_insn=(\d+)/,
    sentence: () => 'What is acquired here is not given back on every path to the end of the program.',
    advice: 'Submit or discard a ring buffer reservation, and release sockets and locks, before each return.',
    instruction: (m) => Number(m[1]),
  },
  {
    class: 'stack_too_large',
    pattern: /combined stack size of (\d+) calls is (\d+)\. Too large/,
    sentence: (m) => `The stack frames of ${m[1]} nested functions take ${m[2]} bytes together, and 512 are allowed.`,
    advice:
      'Keep large values in a per-CPU array map of one entry, or mark the functions __always_inline so that they share a frame.',
  },
  {
    class: 'stack_too_large',
    pattern:
      /invalid stack (?:off|type)[^\n]*off=(-5[1-9]\d|-[6-9]\d\d|-\d{4,})|invalid (?:write|read) (?:to|from) stack[^\n]*off=(-5[1-9]\d|-[6-9]\d\d|-\d{4,})/,
    sentence: (m) => `The program reaches ${Math.abs(Number(m[1] ?? m[2]))} bytes down its stack, and 512 are allowed.`,
    advice: 'Keep large values in a per-CPU array map of one entry.',
  },
  {
    class: 'loop_unbounded',
    pattern: /infinite loop detected at insn (\d+)|back-edge from insn (\d+) to \d+/,
    sentence: () => 'This loop never ends, as far as the verifier can see.',
    advice:
      'Count with a variable that changes on every path and is compared with a constant, or use bpf_loop() (5.17).',
    instruction: (m) => Number(m[1] ?? m[2]),
  },
  {
    class: 'too_complex',
    pattern:
      /BPF program is too (?:large|complex)[^\n]*?(?:Processed (\d+) insn)?$|The sequence of (\d+) jumps is too complex/m,
    sentence: (m) =>
      `The verifier gave up after ${m[1] ? `${m[1]} instructions` : `${m[2] ?? 'too many'} jumps`}: a loop or the branches in it are too many to follow.`,
    advice:
      "Lower the loop's constant bound, move its body into a global function, or use bpf_loop() (5.17), which is verified once.",
  },
  {
    class: 'unreachable_code',
    pattern: /unreachable insn (\d+)/,
    sentence: () => 'Some code can never be reached, often what follows a loop without an end.',
    advice: 'Give the loop before it a way out, or remove the code.',
    instruction: (m) => Number(m[1]),
  },
  {
    class: 'null_unchecked',
    pattern: /R\d+ invalid mem access '(\w+?)_or_null'/,
    sentence: (m) => `A pointer that may be NULL (${words(m[1])}) is used without a check.`,
    advice: CHECK_NULL,
  },
  {
    class: 'null_unchecked',
    pattern: /R\d+ type=(\w+?)_or_null expected=/,
    sentence: (m) => `A pointer that may be NULL (${words(m[1])}) is passed on without a check.`,
    advice: CHECK_NULL,
  },
  {
    class: 'packet_bounds_unchecked',
    pattern: /invalid access to packet, off=(-?\d+) size=(\d+)/,
    sentence: (m) => `The program reads ${m[2]} byte(s) at offset ${m[1]} of a packet that may be shorter.`,
    advice:
      'Compare with data_end first: `if ((void *)(header + 1) > data_end) return XDP_PASS;`, in each place that moves the pointer.',
  },
  {
    class: 'untrusted_pointer',
    pattern: /R\d+ invalid mem access '(?:scalar|inv|unknown|untrusted_ptr_|rcu_ptr_)'/,
    sentence: () => 'The program follows an address that the kernel does not vouch for.',
    advice:
      'Read kernel memory with BPF_CORE_READ() or bpf_probe_read_kernel(); of tp_btf and fentry arguments, only typed pointers can be followed.',
  },
  {
    class: 'out_of_bounds',
    pattern: /invalid access to map value, value_size=(\d+) off=(-?\d+) size=(\d+)/,
    sentence: (m) =>
      `The program may touch bytes ${m[2]} to ${Number(m[2]) + Number(m[3]) - 1} of a map value that has ${m[1]}.`,
    advice: MASK,
  },
  {
    class: 'out_of_bounds',
    pattern: /invalid access to memory, mem_size=(\d+) off=(-?\d+) size=(\d+)/,
    sentence: (m) =>
      `The program may touch bytes ${m[2]} to ${Number(m[2]) + Number(m[3]) - 1} of a memory area that has ${m[1]}.`,
    advice: MASK,
  },
  {
    class: 'out_of_bounds',
    pattern:
      /unbounded m(?:in|ax) value is not allowed|m(?:in|ax) value is (?:outside|negative)|unbounded memory access|invalid unbounded variable-offset/,
    sentence: () => 'An index or length has no bound that the verifier can see, so it may reach outside.',
    advice: MASK,
  },
  {
    class: 'misaligned_access',
    pattern: /misaligned (\w+)[^\n]* access off [^\n]*size (\d+)/,
    sentence: (m) =>
      `The program accesses ${m[2]} bytes of ${words(m[1])} memory at an address that is not a multiple of ${m[2]}.`,
    advice: 'Lay the struct out so that each member is on a multiple of its size, without __attribute__((packed)).',
  },
  {
    class: 'context_access',
    pattern: /func '([^']+)' doesn't have (\d+)-th argument/,
    sentence: (m) => `\`${m[1]}\` has no argument at index ${m[2]} on this kernel.`,
    advice: "Compare the arguments with this kernel's BTF (`bpftool btf dump file /sys/kernel/btf/vmlinux`).",
  },
  {
    class: 'context_access',
    pattern: /invalid bpf_context access off=(-?\d+) size=(\d+)|dereference of modified ctx ptr/,
    sentence: (m) =>
      m[1] === undefined
        ? 'The program computes with its context pointer before it reads through it.'
        : `The program may not access ${m[2]} byte(s) at offset ${m[1]} of its context.`,
    advice: 'Use the fields that this program type has, whole and by name.',
  },
  {
    class: 'stack_uninitialised',
    pattern: /invalid (?:indirect )?read from stack/,
    sentence: () => 'The program hands on bytes of its stack that it never wrote, perhaps the padding of a struct.',
    advice: 'Clear the variable first (`struct key k = {};`) and give padding a name.',
  },
  {
    class: 'uninitialised',
    pattern: /R(\d+) !read_ok/,
    sentence: (m) =>
      m[1] === '0' ? 'The program ends without a return value.' : 'The program uses a value that was never set.',
    advice: 'Initialise the variable on every path; a helper call also destroys registers r1 to r5.',
  },
  {
    class: 'pointer_leak',
    pattern:
      /leaks addr|pointer arithmetic (?:on|with)[^\n]*prohibited|R\d+ pointer (?:comparison|[+-]=)[^\n]*prohibited/,
    sentence: () =>
      'The program gives away or computes with a kernel address in a way that its privileges do not allow.',
    advice: 'Keep kernel addresses out of maps, return values and arithmetic.',
  },
  {
    class: 'wrong_argument',
    pattern: /R(\d+) type=(\S+) expected=([^\n]+)/,
    sentence: (m) =>
      `Argument ${m[1]} of this call is a ${words(m[2])}, and must be: ${(m[3] ?? '').trim().replace(/,\s*$/, '')}.`,
    advice: 'Pass what the helper is documented to take, in its order.',
  },
  {
    class: 'return_value',
    pattern: /At program exit the register R0 has ([^\n]*?) should have been in ([^\n]+)/,
    sentence: (m) => `The return value (${m[1]}) is outside of ${m[2]}, what this kind of program may return.`,
    advice: 'Return one of the values that the program type defines.',
  },
];

/** "map_value" → "map value". */
function words(name: string | undefined): string {
  return (name ?? '').replaceAll('_', ' ').trim();
}
