export const rangeSeconds = { '5m': 300, '15m': 900, '1h': 3600, '6h': 21_600, '24h': 86_400 } as const;
export type Range = keyof typeof rangeSeconds;
export const ranges = Object.keys(rangeSeconds) as Range[];
export const defaultRange: Range = '15m';

/** What the URL says about time: a range that ends now, or a fixed window in seconds since 1970, which wins. */
export interface TimeSearch {
  range?: Range;
  from?: number;
  to?: number;
}

export interface TimeWindow {
  from: string;
  to: string;
}

/** Unknown or impossible values are left out, so that an old or edited link still opens. */
export function parseTimeSearch(raw: Record<string, unknown>): TimeSearch {
  const from = wholeSeconds(raw.from);
  const to = wholeSeconds(raw.to);
  const known = ranges.find((one) => one === raw.range);
  // The range stays beside a window: it is where "back to now" goes back to.
  const range = known && known !== defaultRange ? { range: known } : {};
  return from !== undefined && to !== undefined && to > from ? { ...range, from, to } : range;
}

function wholeSeconds(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number > 0 && number < 1e11 ? number : undefined;
}

export function windowSeconds(time: TimeSearch, nowMs: number): { from: number; to: number } {
  if (time.from !== undefined && time.to !== undefined) return { from: time.from, to: time.to };
  const to = Math.ceil(nowMs / 1000);
  return { from: to - rangeSeconds[time.range ?? defaultRange], to };
}

export function windowOf(time: TimeSearch, nowMs: number): TimeWindow {
  const { from, to } = windowSeconds(time, nowMs);
  return { from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString() };
}
