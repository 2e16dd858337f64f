import { FLOW_RULES } from './rules/flow-rules.js';
import { KERNEL_RULES } from './rules/kernel-rules.js';
import { MEMORY_RULES } from './rules/memory-rules.js';
import type { RefusalRule } from './rules/refusal-rule.js';

export type { RefusalClass } from './rules/refusal-rule.js';

/**
 * In the order of trial: what names its cause exactly comes before what many causes end in. The wordings are those of
 * 5.10 to 6.18; the kernel promises none of them.
 */
export const REFUSAL_RULES: readonly RefusalRule[] = [...KERNEL_RULES, ...FLOW_RULES, ...MEMORY_RULES];
