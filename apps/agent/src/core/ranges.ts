/** Whole numbers from the first to the last, both included. */
export type Range = readonly [number, number];

/** The ranges with `added` in them: sorted, apart, and at most `rangesMax` by joining the nearest neighbours. */
export function addRange(ranges: readonly Range[], added: Range, rangesMax: number): Range[] {
  const out: [number, number][] = [];
  for (const [from, to] of [...ranges, added].sort((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  while (out.length > rangesMax) joinNearest(out);
  return out;
}

function joinNearest(ranges: [number, number][]): void {
  let best = 1;
  const gap = (index: number): number => (ranges[index]?.[0] ?? 0) - (ranges[index - 1]?.[1] ?? 0);
  for (let index = 2; index < ranges.length; index++) if (gap(index) < gap(best)) best = index;
  const [, to] = ranges[best] ?? [0, 0];
  const before = ranges[best - 1];
  if (before) before[1] = to;
  ranges.splice(best, 1);
}
