import type { Reason } from './facts.js';

/** What speaks against a kernel's taking a release: for certain, or not to be excluded. */
export interface Findings {
  readonly refusals: readonly Reason[];
  readonly doubts: readonly Reason[];
}

export const NOTHING_FOUND: Findings = { refusals: [], doubts: [] };

export function refusal(kind: string, sentence: string): Findings {
  return { refusals: [{ kind, sentence }], doubts: [] };
}

export function doubt(kind: string, sentence: string): Findings {
  return { refusals: [], doubts: [{ kind, sentence }] };
}

export function together(parts: readonly Findings[]): Findings {
  return { refusals: parts.flatMap((part) => part.refusals), doubts: parts.flatMap((part) => part.doubts) };
}
