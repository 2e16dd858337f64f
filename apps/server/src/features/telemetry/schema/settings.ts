/** Bounds of the telemetry store (DESIGN §9). */
export const telemetryLimits = {
  eventTablesMax: 200,
  /** Columns of one event table, the fixed ones and replaced ones included. */
  eventColumnsMax: 128,
  partitionsMax: 2000,
  /** PostgreSQL cuts longer names silently. */
  nameBytesMax: 63,
  /** Made ahead of now, so that a control role that is away for two weeks stops nobody. */
  partitionAheadDays: 14,
  /** How far beyond now a device's clock is believed. */
  futureMsMax: 60 * 60 * 1000,
  /** Wait for a lock of DDL: behind it every COPY queues, so it gives up soon and tries again later. */
  ddlLockTimeoutMs: 1000,
  ddlAttemptsMax: 3,
  /** Kept longer than any spool holds a batch, since a forgotten number could be stored twice. */
  ledgerKeepDays: 180,
} as const;

export const INGEST_ROLE = 'bpfleet_ingest';
export const READER_ROLE = 'bpfleet_reader';
