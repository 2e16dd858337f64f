import { setTimeout as after } from 'node:timers/promises';
import type { Kernel } from '../kernel/port.js';
import { errorFacts, type Log } from '../log.js';

export interface StopOptions {
  readonly agent: { stop(mode: 'detach' | 'leave'): Promise<void> };
  readonly kernel: Pick<Kernel, 'pinnedRuns' | 'removePins'>;
  readonly mode: 'detach' | 'leave';
  readonly timeoutMs: number;
  readonly log: Log;
}

/**
 * Whatever hangs or is slow, a stop is a stop: what is not pinned ends with the process, and what is pinned is taken out of the
 * kernel here, unless it is left for the next agent.
 * @returns the exit code of the process
 */
export async function stopAgent({ agent, kernel, mode, timeoutMs, log }: StopOptions): Promise<0 | 1> {
  const stopped = agent.stop(mode).then(
    () => 0 as const,
    (error: unknown) => {
      log('error', 'agent.stop', errorFacts(error));
      return 1 as const;
    },
  );
  const code = await Promise.race([stopped, after(timeoutMs, undefined, { ref: false })]);
  if (code === undefined) log('error', 'agent.stop', { message: `it did not stop within ${timeoutMs} ms` });
  if (mode === 'detach') for (const run of kernel.pinnedRuns()) removePins(run, kernel, log);
  return code ?? 1;
}

/** One that cannot be removed does not keep the others; `bpfleet-reap` tries it again when its lease has lapsed. */
function removePins(run: string, kernel: Pick<Kernel, 'removePins'>, log: Log): void {
  try {
    kernel.removePins(run);
  } catch (error) {
    log('error', 'agent.stop', { run, ...errorFacts(error) });
  }
}
