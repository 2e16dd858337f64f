import type { Release } from '@bpfleet/api';

export type ParamSpec = Release['params'][number];
export type ParamValue = ParamSpec['default'];
export type ParamDraft = Record<string, ParamValue>;

/** The parameters to send: only those that differ from the release's default, so that a default can still change. */
export function paramsToSend(specs: readonly ParamSpec[], draft: ParamDraft): ParamDraft {
  const changed = specs.filter((spec) => draft[spec.name] !== undefined && draft[spec.name] !== spec.default);
  return Object.fromEntries(changed.map((spec) => [spec.name, draft[spec.name] as ParamValue]));
}

/** One sentence per parameter that cannot be sent, by name. The bounds are the server's to check. */
export function paramProblems(specs: readonly ParamSpec[], draft: ParamDraft): Record<string, string> {
  const problems: Record<string, string> = {};
  for (const spec of specs) {
    const value = draft[spec.name];
    if (value === undefined) continue;
    if (spec.type === 'number' && (typeof value !== 'number' || !Number.isFinite(value)))
      problems[spec.name] = 'a number is needed here';
    if (typeof value === 'string' && value.length > 256) problems[spec.name] = 'at most 256 characters';
  }
  return problems;
}

/** `min_us=100 by_comm=true`, or what an empty set means. */
export function paramsText(params: Record<string, ParamValue>): string {
  const pairs = Object.entries(params).map(([name, value]) => `${name}=${String(value)}`);
  return pairs.length === 0 ? 'defaults' : pairs.join(' ');
}
