import { telemetryLimits } from '../telemetry/index.js';

/** How ingest paces itself and what it believes. */
export interface IngestSettings {
  /** Rows older than this are stored as of the edge. */
  readonly retentionDays: number;
  readonly futureMsMax: number;
  /** How long the writer waits for more batches before it commits those that came. */
  readonly flushMs: number;
  /** A transaction that takes longer is given up, with its connection. */
  readonly transactionTimeoutMs: number;
  readonly backoffFirstMs: number;
  readonly backoffMaxMs: number;
}

export const ingestDefaults: IngestSettings = {
  retentionDays: 30,
  futureMsMax: telemetryLimits.futureMsMax,
  flushMs: 250,
  transactionTimeoutMs: 60_000,
  backoffFirstMs: 250,
  backoffMaxMs: 10_000,
};
