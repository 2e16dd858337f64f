import type { BootPoint } from './lease.js';

/** What `bpfleet-reap` must know when no agent is there to ask: who still answers, and until when each run may stay. */
export interface LeaseSheet {
  readonly heartbeat: BootPoint;
  /** `untilSeconds` on CLOCK_BOOTTIME of the heartbeat's boot. */
  readonly runs: readonly { readonly run: string; readonly untilSeconds: number }[];
}

/** More runs than one desired state can name; the reaper reads no more. */
const RUNS_MAX = 256;
const RUN_NAME = /^[A-Za-z0-9_-]{1,127}$/;

/**
 * Lines of words, because a small C program reads them (reap/bpfleet_reap.c). The last line says that the sheet is whole.
 * A run that is left out stays as long as its agent beats.
 */
export function encodeLeaseSheet({ heartbeat, runs }: LeaseSheet): string {
  const lines = runs
    .filter(({ run }) => RUN_NAME.test(run))
    .slice(0, RUNS_MAX)
    // Rounded up: the agent, which knows fractions, comes first.
    .map(({ run, untilSeconds }) => `run ${run} ${Math.max(0, Math.ceil(untilSeconds))}`);
  return [
    'bpfleet-leases 1',
    `boot ${heartbeat.bootId}`,
    `heartbeat ${Math.floor(heartbeat.seconds)}`,
    ...lines,
    'end',
    '',
  ].join('\n');
}
