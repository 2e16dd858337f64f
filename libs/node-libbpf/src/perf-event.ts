import { requireInteger, requireUint64 } from './arguments.js';
import { argumentError } from './errors.js';

// enum perf_type_id (linux/perf_event.h).
const perfTypes = { hardware: 0, software: 1 } as const;

export interface PerfEventOptions {
  type: keyof typeof perfTypes;
  /** PERF_COUNT_SW_* or PERF_COUNT_HW_*: software 0 is the CPU clock. */
  config: number;
  /** Samples a second. Give this or `period`. */
  frequencyHz?: number;
  /** Events between two samples; for clocks, nanoseconds. */
  period?: bigint;
  /** -1 for the process wherever it runs. */
  cpu: number;
  /** -1 for every process on that CPU. */
  pid: number;
}

/** @internal In the numbers of perf_event_open(2); of frequency and period the one that was not given is 0. */
export function requirePerfEvent(operation: string, options: PerfEventOptions) {
  if (!Object.hasOwn(perfTypes, options.type)) throw argumentError(operation, 'type must be software or hardware');
  const config = BigInt(requireInteger(operation, 'config', options.config, 0, Number.MAX_SAFE_INTEGER));
  if ((options.frequencyHz === undefined) === (options.period === undefined)) {
    throw argumentError(operation, 'give either frequencyHz or period');
  }
  const frequencyHz =
    options.frequencyHz === undefined ? 0 : requireInteger(operation, 'frequencyHz', options.frequencyHz, 1, 1_000_000);
  const period = options.period === undefined ? 0n : requireUint64(operation, 'period', options.period);
  if (frequencyHz === 0 && period === 0n) throw argumentError(operation, 'period must not be 0');
  const cpu = requireInteger(operation, 'cpu', options.cpu, -1, 0xffff);
  const pid = requireInteger(operation, 'pid', options.pid, -1, 0x7fff_ffff);
  return { type: perfTypes[options.type], config, frequencyHz, period, cpu, pid };
}
