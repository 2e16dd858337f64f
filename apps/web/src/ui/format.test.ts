import { describe, expect, it } from '@jest/globals';
import {
  cpuPercent,
  formatAgo,
  formatBytes,
  formatCount,
  formatCountdown,
  formatPercent,
  formatSeconds,
  formatSpan,
  formatValue,
  printable,
} from './format.js';

describe('numbers', () => {
  it.each([
    [0, '0'],
    [0.00042, '0.00042'],
    [12.345, '12.3'],
    [999, '999'],
    [1234567, '1.23M'],
    [-2500, '-2.5k'],
    [Number.NaN, '–'],
    [1e-9, '1.0e-9'],
  ])('shows the count %p as %p', (value, text) => expect(formatCount(value)).toBe(text));

  it('shows bytes in powers of 1024', () => {
    expect(formatBytes(512)).toBe('512 B');
    expect(formatBytes(3 * 1024 * 1024)).toBe('3 MiB');
  });

  it.each([
    [0.0000005, '500 ns'],
    [0.000064, '64 µs'],
    [0.0015, '1.5 ms'],
    [12, '12 s'],
    [600, '10 min'],
  ])('shows %p seconds as %p', (value, text) => expect(formatSeconds(value)).toBe(text));

  it('knows that a metric named in seconds is in seconds, though the kernel counted microseconds', () => {
    expect(formatValue(0.001, 'run_queue_latency_seconds', 'us')).toBe('1 ms');
    expect(formatValue(1500, 'wait', 'us')).toBe('1.5 ms');
    expect(formatValue(2048, 'received_bytes_total', 'bytes')).toBe('2 KiB');
    expect(formatValue(3, 'x', 'packets')).toBe('3 packets');
    expect(formatValue(2048, 'received_bytes_total', 'bytes/s')).toBe('2 KiB/s');
    expect(formatValue(1500, 'calls_total', 'count/s')).toBe('1.5k/s');
  });

  it('gives no CPU share where no time has passed, and does not round a small one to nothing', () => {
    expect(cpuPercent(5e8, 10)).toBe(5);
    expect(cpuPercent(5e8, 0)).toBeNull();
    expect(formatPercent(0.0001)).toBe('< 0.01 %');
    expect(formatPercent(0)).toBe('0 %');
  });
});

describe('times', () => {
  it('shows at most two parts of a span', () => {
    expect(formatSpan(45)).toBe('45 s');
    expect(formatSpan(3 * 86_400 + 4 * 3600 + 5 * 60)).toBe('3 d 4 h');
    expect(formatSpan(86_400 + 120)).toBe('1 d');
    expect(formatSpan(-3)).toBe('0 s');
  });

  it('tells past and future apart, and forgives clocks that differ a little', () => {
    const now = Date.parse('2026-05-01T10:00:00Z');
    expect(formatAgo('2026-05-01T09:59:58Z', now)).toBe('just now');
    expect(formatAgo('2026-05-01T10:00:02Z', now)).toBe('just now');
    expect(formatAgo('2026-05-01T09:50:00Z', now)).toBe('10 min ago');
    expect(formatAgo('2026-05-01T10:05:00Z', now)).toBe('in 5 min');
  });

  it('counts down to zero and not below', () => {
    expect(formatCountdown(545)).toBe('9:05');
    expect(formatCountdown(3723)).toBe('1:02:03');
    expect(formatCountdown(-4)).toBe('0:00');
  });
});

describe('printable', () => {
  it('shows what a device hides in its strings, and keeps tabs and lines of logs', () => {
    expect(printable('a\u001b[31mb\u202ec\u0000')).toBe('a\ufffd[31mb\ufffdc\ufffd');
    expect(printable('1\n\t2')).toBe('1\n\t2');
    expect(printable('Tromsø 🦊')).toBe('Tromsø 🦊');
  });
});
