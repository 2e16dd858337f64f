import { encodeMessage, limits, type Reported, type RunError, type RunReport, type RunStats } from '@bpfleet/wire';
import type { RunSlot } from './run-slot.js';

const ERROR_CODE_MAX = 64;
const ERROR_MESSAGE_MAX = 2048;
const LOG_MAX = 60 * 1024;

/** An error inside the bounds of the wire; of a log the end, where the verifier says what it wanted. */
export function boundedError(error: { code: string; message: string; log?: string | undefined }): RunError {
  const { code, message, log } = error;
  return {
    code: code.slice(0, ERROR_CODE_MAX),
    message: message.slice(0, ERROR_MESSAGE_MAX),
    ...(log ? { log: log.slice(-LOG_MAX) } : {}),
  };
}

function statsOf(slot: RunSlot, measured: boolean): RunStats | undefined {
  const { live } = slot;
  if (!live) return undefined;
  const counters = live.telemetry.counters();
  return {
    runCount: counters.runCount,
    runTimeNs: counters.runTimeNs,
    measured,
    mapBytes: live.plan.mapBytes,
    drops: live.telemetry.drops,
    eventsSeen: counters.eventsSeen,
  };
}

/** The log goes with the change alone: the list of all runs must fit into one message. */
export function reportOf(slot: RunSlot, measured: boolean, withLog: boolean): RunReport {
  const { record, live } = slot;
  const stats = statsOf(slot, measured);
  const error = record.error && (withLog ? record.error : { code: record.error.code, message: record.error.message });
  return {
    v: 1,
    run: record.run,
    release: record.entry.release,
    state: record.state,
    revision: record.revision,
    ...(error ? { error } : {}),
    ...(stats ? { stats } : {}),
    ...(live ? { programs: live.kernel.programs(), hold: live.kernel.hold, adopted: record.adopted } : {}),
  };
}

/** Room for topic and MQTT header, and for what JSON adds to a log. */
const MESSAGE_BYTES = limits.messageBytesMax - 1024;

/** One run's report as bytes that any broker takes: a log that is too long loses its beginning. */
export function encodeReport(report: RunReport): Buffer {
  let bytes = encodeMessage(report);
  for (let log = report.error?.log ?? ''; bytes.length > MESSAGE_BYTES && log !== '';) {
    log = log.slice(Math.ceil(log.length / 2));
    const error = { code: report.error?.code ?? '', message: report.error?.message ?? '', log };
    bytes = encodeMessage({ ...report, error });
  }
  return bytes;
}

/** All runs in one message: what does not fit is left to each run's own report, programs before numbers. */
export function encodeReported(reported: Reported): Buffer {
  const bytes = encodeMessage(reported);
  if (bytes.length <= MESSAGE_BYTES) return bytes;
  return encodeMessage({ ...reported, runs: reported.runs.map(({ programs: _programs, ...run }) => run) });
}
