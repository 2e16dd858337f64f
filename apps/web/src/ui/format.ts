const siSteps = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** Three significant digits: 1234567 → `1.23M`, 0.0004 → `0.0004`. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  for (const [step, suffix] of siSteps) if (size >= step) return `${trim(value / step)}${suffix}`;
  return trim(value);
}

function trim(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-6) return value.toExponential(1);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(size)));
  return String(Number(value.toFixed(Math.min(digits, 9))));
}

export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${trim(value)} ${units[unit]}`;
}

/** `1.5 ms` for 0.0015: a latency, with the unit that suits it. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const size = Math.abs(seconds);
  if (size === 0) return '0 s';
  if (size < 1e-6) return `${trim(seconds * 1e9)} ns`;
  if (size < 1e-3) return `${trim(seconds * 1e6)} µs`;
  if (size < 1) return `${trim(seconds * 1e3)} ms`;
  return size < 120 ? `${trim(seconds)} s` : formatSpan(seconds);
}

/** `3 d 4 h`, `12 min`, `45 s`: the two largest parts at most. */
export function formatSpan(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor((whole % 86_400) / 3600), 'h'],
    [Math.floor((whole % 3600) / 60), 'min'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

/** `9:05` or `1:02:03`. */
export function formatCountdown(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const pad = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

export function formatAgo(iso: string, nowMs: number): string {
  const seconds = (nowMs - Date.parse(iso)) / 1000;
  if (seconds < -5) return `in ${formatSpan(-seconds)}`;
  return seconds < 5 ? 'just now' : `${formatSpan(seconds)} ago`;
}

export function formatTime(iso: string): string {
  const date = new Date(iso);
  const pad = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${formatClock(iso, false)}`;
}

export function formatClock(iso: string, millis = true): string {
  const date = new Date(iso);
  const pad = (value: number, digits = 2) => String(value).padStart(digits, '0');
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return millis ? `${clock}.${pad(date.getMilliseconds(), 3)}` : clock;
}

/**
 * A metric's value with its unit; the unit of a rate ends in `/s`. Metrics named `*_seconds` are in seconds whatever unit
 * the kernel counted in.
 */
export function formatValue(value: number, metric: string, unit: string | null): string {
  if (unit?.endsWith('/s')) return `${formatValue(value, metric, unit.slice(0, -2))}/s`;
  if (metric.endsWith('_seconds') || unit === 's' || unit === 'seconds') return formatSeconds(value);
  if (unit === 'us') return formatSeconds(value / 1e6);
  if (unit === 'ms') return formatSeconds(value / 1e3);
  if (unit === 'ns') return formatSeconds(value / 1e9);
  if (unit === 'bytes') return formatBytes(value);
  return unit && unit !== 'count' ? `${formatCount(value)} ${unit}` : formatCount(value);
}

/** Share of one CPU in percent; null where nothing was measured or no time has passed. */
export function cpuPercent(runTimeNs: number, attachedSeconds: number): number | null {
  return attachedSeconds > 0 ? (runTimeNs / 1e9 / attachedSeconds) * 100 : null;
}

export function formatPercent(percent: number): string {
  if (percent === 0) return '0 %';
  return percent < 0.01 ? '< 0.01 %' : `${trim(percent)} %`;
}

// C0 and C1 controls, and the marks that turn the direction of text around: a device chooses its own strings.
const deceiving = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text from a device, safe to show: what cannot be seen is shown as a replacement character. Tabs and newlines stay. */
export function printable(text: string): string {
  return text.replace(deceiving, '\ufffd');
}
