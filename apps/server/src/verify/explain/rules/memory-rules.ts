import { words } from './refusal-rule.js';
import type { RefusalRule } from './refusal-rule.js';

const CHECK_NULL =
  'Compare the pointer with NULL and return before it is used: a lookup finds nothing when the key is not there.';
const MASK =
  'Bound the index or length just before its use, with `if (n >= MAX) return 0;` or `n &= MAX - 1;`, on an unsigned variable.';

/** What the program touches, and with which arguments it calls. */
export const MEMORY_RULES: readonly RefusalRule[] = [
  {
    class: 'map_read_only',
    pattern: /write into map forbidden|cannot write into rdonly_\w+/,
    sentence: () => 'The program writes to memory that is constant once it is loaded, such as a const global.',
    advice: 'Take `const` off the global, or set it from outside before the load.',
  },
  {
    class: 'packet_read_only',
    pattern: /cannot write into packet/,
    sentence: () => 'A program of this type may read packets and not change them.',
    advice: 'Change packets in XDP or TC programs, or with bpf_skb_store_bytes() where it is allowed.',
  },
  {
    class: 'kernel_read_only',
    pattern: /only read is supported/,
    sentence: () => "The program writes into the kernel's own memory.",
    advice: 'Kernel objects can only be read; keep what you know about them in a map.',
  },
  {
    class: 'struct_bounds',
    pattern: /access beyond struct (\w+) at off (\d+) size (\d+)/,
    sentence: (m) => `The program reads ${m[3]} bytes at offset ${m[2]} of \`struct ${m[1]}\`, which is smaller.`,
    advice: "Read by member name with preserve_access_index, so that the offset is that of the device's kernel.",
  },
  {
    class: 'special_field',
    pattern: /(bpf_\w+) cannot be accessed directly by load\/store/,
    sentence: (m) => `The \`${m[1]}\` inside a map value is touched directly.`,
    advice: 'Leave it to its helpers, and copy or clear the other members one by one.',
  },
  {
    class: 'dynptr_uninitialised',
    pattern: /Expected an? (un)?initialized (dynptr|iter\w*) as arg/,
    sentence: (m) =>
      m[1] ? `This ${m[2]} is in use already.` : `This ${m[2]} was never set up, or setting it up may have failed.`,
    advice: 'Make it with its constructor (bpf_dynptr_from_mem, bpf_iter_num_new) on every path before it is used.',
  },
  {
    class: 'argument_not_constant',
    pattern: /R(\d+) is not a known constant/,
    sentence: (m) => `Argument ${m[1]} of this call must be a constant, and here it varies.`,
    advice:
      'Pass sizeof(…) or a literal; reserve the largest size, or copy with bpf_ringbuf_output() for one that varies.',
  },
  {
    class: 'map_unfit',
    pattern: /cannot pass map_type (\d+) into func (\w+)#\d+|invalid zero-sized read/,
    sentence: (m) =>
      m[2]
        ? `\`${m[2]}\` does not take a map of this type (${m[1]}).`
        : 'This map has no keys or values, and the call wants them.',
    advice: 'Use the helpers of the map type: bpf_ringbuf_*() for ring buffers, bpf_map_push_elem() for queues.',
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
    pattern: /invalid bpf_context access off=(-?\d+) size=(\d+)|dereference of modified ctx ptr|variable ctx access/,
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
];
