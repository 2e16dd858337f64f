/** Why a kernel refused a program, in the few kinds there are to act on. */
export type RefusalClass =
  | 'argument_not_constant'
  | 'atomic_unsupported'
  | 'call_too_deep'
  | 'call_under_lock'
  | 'callback_needs_jit'
  | 'context_access'
  | 'dynptr_uninitialised'
  | 'helper_not_allowed'
  | 'hook_missing'
  | 'invalid_instruction'
  | 'kernel_btf_missing'
  | 'kernel_function_forbidden'
  | 'kernel_function_missing'
  | 'kernel_read_only'
  | 'kernel_target_missing'
  | 'kernel_type_missing'
  | 'licence_missing'
  | 'loop_unbounded'
  | 'map_read_only'
  | 'map_refused'
  | 'map_unfit'
  | 'memory_unavailable'
  | 'misaligned_access'
  | 'mixed_pointers'
  | 'not_permitted'
  | 'null_unchecked'
  | 'other'
  | 'out_of_bounds'
  | 'packet_bounds_unchecked'
  | 'packet_read_only'
  | 'pointer_leak'
  | 'reference_unreleased'
  | 'region_left_open'
  | 'return_value'
  | 'sleeps'
  | 'special_field'
  | 'stack_too_large'
  | 'stack_uninitialised'
  | 'struct_bounds'
  | 'too_complex'
  | 'type_forbids_feature'
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

/** "map_value" → "map value". */
export function words(name: string | undefined): string {
  return (name ?? '').replaceAll('_', ' ').trim();
}
