import type { RefusalRule } from './refusal-rule.js';

/** What this kernel, this program type or this licence does not allow. */
export const KERNEL_RULES: readonly RefusalRule[] = [
  {
    // What apps/verifier writes (hooks.ts) of a program that this kernel loads.
    class: 'hook_missing',
    pattern:
      /^this kernel (has (?:no (?:(?:raw )?tracepoint|(?:traceable )?function|system call|kprobes)|\d+ functions named) .{1,600})$/m,
    sentence: (m) => `This kernel ${m[1]}.`,
    advice:
      'The program loads there and cannot be attached: name what this kernel has, or choose a tracepoint, which is kept when functions are renamed or inlined.',
  },
  {
    class: 'hook_missing',
    pattern: /^this kernel (has the function .{1,600}, which is closed to tracing .{1,100})$/m,
    sentence: (m) => `This kernel ${m[1]}.`,
    advice:
      'The program loads there and cannot be attached: name a function that available_filter_functions of tracefs lists.',
  },
  {
    class: 'hook_missing',
    pattern: /^this kernel (has .{1,600} only in its modules? .{1,600})$/m,
    sentence: (m) => `This kernel ${m[1]}.`,
    advice: 'It attaches on devices that have loaded it: see that they do, or name what the kernel itself has.',
  },
  {
    class: 'kernel_btf_missing',
    pattern: /kernel BTF is missing at|failed to find valid kernel BTF|couldn't find valid kernel BTF/,
    sentence: () => 'This kernel carries no BTF, and the program needs it.',
    advice:
      "Add the kernel's BTF to the server once (`bpfleet btf add`); a program that attaches through BTF (tp_btf, fentry, iter, LSM) cannot run on such a kernel: use raw_tp or kprobe.",
  },
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
    pattern: /failed to find kernel BTF type ID of '([^']+)': -(?:1|EPERM)/,
    sentence: (m) =>
      `This kernel itself has nothing named \`${m[1]}\` to attach to; whether one of its modules has could not be seen.`,
    advice:
      'Check the name against this kernel; a raw_tp needs no BTF, and a function may have been inlined or renamed.',
  },
  {
    class: 'kernel_target_missing',
    pattern: /failed to find kernel BTF type ID of '([^']+)'/,
    sentence: (m) =>
      `This kernel has nothing named \`${m[1]}\` to attach to, or it is of a module that was not loaded when it was asked.`,
    advice:
      'Check the name against this kernel; a raw_tp needs no BTF, and a function may have been inlined or renamed.',
  },
  {
    class: 'kernel_function_missing',
    pattern: /extern (?:\((?:func|var) ksym\) )?'(?!CONFIG_|LINUX_)([^']+)'[^:]*: not (?:found|resolved)/,
    sentence: (m) =>
      `This kernel does not offer \`${m[1]}\` to programs, or it is of a module that was not loaded when it was asked.`,
    advice: 'Declare it __weak and test bpf_ksym_exists() before the call, or do without it.',
  },
  {
    class: 'kernel_function_missing',
    pattern: /extern \((?:func|var) ksym\) '([^']+)'[^\n]* incompatible/,
    sentence: (m) => `This kernel has \`${m[1]}\` otherwise than the program declares it.`,
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
    class: 'kernel_function_forbidden',
    pattern: /calling kernel function (\w+) is not allowed/,
    sentence: (m) => `A program of this type may not call the kernel function \`${m[1]}\`.`,
    advice: 'Each kernel function is open to some program types only: use another type, or do without it.',
  },
  {
    class: 'type_forbids_feature',
    pattern: /(tracing|socket filter) progs cannot use (bpf_\w+)(?: yet)?/,
    sentence: (m) => `A ${m[1]} program may not use a map whose values hold a \`${m[2]}\`.`,
    advice: 'Count with __sync_fetch_and_add() or in a per-CPU map, which need no lock and no timer.',
  },
  {
    class: 'memory_unavailable',
    pattern: /map '([^']+)': failed to create(?: inner map)?: (?:[^(\n]+\(-12\)|-12\b|-ENOMEM)/,
    sentence: (m) => `The kernel had no memory for the map \`${m[1]}\`.`,
    advice: 'Lower its max_entries; per-CPU maps take their size once for each possible CPU.',
  },
  {
    class: 'map_refused',
    pattern: /map '([^']+)': failed to create: (?:([^(\n]+)\(-(\d+)\)|-(E\w+))/,
    sentence: (m) => `The kernel did not create the map \`${m[1]}\` (${m[2] ?? m[4]}).`,
    advice:
      'Lower its max_entries or the size of its value, or use a type and flags that this kernel has; per-CPU maps take their size once for each possible CPU.',
  },
];
