const steps = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** Three significant digits with a suffix: `1.23M`. */
export function countText(value: number): string {
  const size = Math.abs(value);
  for (const [step, suffix] of steps) if (size >= step) return `${digits(value / step)}${suffix}`;
  return digits(value);
}

function digits(value: number): string {
  return String(Number(value.toPrecision(3)));
}

export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes > 0 ? Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10)) : 0;
  return `${digits(bytes / 1024 ** power)} ${units[power]}`;
}

export function secondsText(seconds: number): string {
  const size = Math.abs(seconds);
  if (size === 0 || size >= 1) return `${digits(seconds)} s`;
  if (size >= 1e-3) return `${digits(seconds * 1e3)} ms`;
  return size >= 1e-6 ? `${digits(seconds * 1e6)} µs` : `${digits(seconds * 1e9)} ns`;
}

/** `3 d 4 h`, `12 min`, `45 s`. */
export function spanText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

export function agoText(iso: string, nowMs: number): string {
  return `${spanText((nowMs - Date.parse(iso)) / 1000)} ago`;
}

/**
 * A metric's value with its unit; the unit of a rate ends in `/s`. Metrics named `*_seconds` are in seconds whatever unit
 * the kernel counted in.
 */
export function valueText(value: number, metric: string, unit: string | null): string {
  if (unit?.endsWith('/s')) return `${valueText(value, metric, unit.slice(0, -2))}/s`;
  if (metric.endsWith('_seconds') || unit === 'seconds' || unit === 's') return secondsText(value);
  const factor = unit === 'ms' ? 1e3 : unit === 'us' ? 1e6 : unit === 'ns' ? 1e9 : undefined;
  if (factor) return secondsText(value / factor);
  if (unit === 'bytes') return bytesText(value);
  return unit && unit !== 'count' ? `${countText(value)} ${safeUnit(unit)}` : countText(value);
}

function safeUnit(unit: string): string {
  return unit.replace(/[^\w/%.-]/g, '');
}
