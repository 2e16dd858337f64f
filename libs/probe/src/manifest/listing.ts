const LISTED_MAX = 20;

/** Names for the end of a sentence: `a, b and c`; `none` when there are none. */
export function listing(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  if (names.length > LISTED_MAX)
    return `${names.slice(0, LISTED_MAX).join(', ')} and ${names.length - LISTED_MAX} more`;
  return names.length === 1 ? (names[0] as string) : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
