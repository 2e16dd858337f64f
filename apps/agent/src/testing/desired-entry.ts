import type { DesiredEntry } from '@bpfleet/trust';

/** A run that a server could want, with what a test changes of it. */
export function desiredEntry(run: string, change: Partial<DesiredEntry> = {}): DesiredEntry {
  return {
    run,
    release: 'a'.repeat(64),
    probe: 'trace_exec',
    version: '1.0.0',
    params: { min_us: 1 },
    budget: { cpuPercent: 5, mapBytes: 1, eventsPerSecond: 1 },
    leaseSeconds: 600,
    reason: { kind: 'assignment', intent: 'a1' },
    ...change,
  };
}
