import type { RefusalRule } from './refusal-rule.js';

/** How the program runs: loops, calls, regions, what is held and given back, what is returned. */
export const FLOW_RULES: readonly RefusalRule[] = [
  {
    class: 'region_left_open',
    pattern:
      /BPF_EXIT[^\n]* inside (bpf_\w+)-ed region|(bpf_spin_lock|bpf_rcu_read_lock|bpf_preempt_disable)[^\n]* is missing/,
    sentence: (m) => `A path ends inside the region that \`${m[1] ?? m[2]}\` opened.`,
    advice: 'Close it (bpf_spin_unlock, bpf_rcu_read_unlock, bpf_preempt_enable) before each return.',
  },
  {
    class: 'region_left_open',
    pattern: /(bpf_rcu_read_unlock|bpf_spin_unlock) is missing/,
    sentence: (m) => `A path ends without the \`${m[1]}\` that it owes.`,
    advice: 'Close the region before each return.',
  },
  {
    class: 'call_under_lock',
    pattern: /function calls are not allowed while holding a lock/,
    sentence: () => 'The program calls a function while it holds a lock.',
    advice: 'Call before bpf_spin_lock() or after bpf_spin_unlock(), and touch only memory in between.',
  },
  {
    class: 'call_too_deep',
    pattern: /the call stack of (\d+) frames is too deep/,
    sentence: (m) => `Functions call each other ${m[1]} deep, and 8 frames are allowed; recursion is not.`,
    advice: 'Mark small functions __always_inline, or turn recursion into a bounded loop.',
  },
  {
    class: 'mixed_pointers',
    pattern: /same insn cannot be used with different pointers/,
    sentence: () => 'One access reads through pointers of different kinds, depending on the path.',
    advice: 'Give each kind of pointer its own load, in its own branch; the compiler may have merged two of them.',
  },
  {
    class: 'invalid_instruction',
    pattern:
      /(jump out of range from insn \d+ to \d+)|(div by zero)|(invalid shift \d+)|(frame pointer is read only)|(unknown opcode \w+)/,
    sentence: (m) => `The program has an instruction that no kernel accepts: ${m.slice(1).find(Boolean)}.`,
    advice: 'Look at the line: inline assembly, or undefined behaviour that the compiler turned into this.',
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
    class: 'return_value',
    pattern: /At (program exit|callback return) the register R0 has ([^\n]*?) should have been in ([^\n]+)/,
    sentence: (m) =>
      `The return value (${m[2]}) is outside of ${m[3]}, what this kind of ${m[1] === 'program exit' ? 'program' : 'callback'} may return.`,
    advice:
      'Return one of the values that the program type defines; a callback of bpf_loop() returns 0 to go on and 1 to stop.',
  },
];
