import type { Backoff } from './core/backoff.js';
import { spoolLimits, type SpoolLimits } from './store/spool-limits.js';

export interface AgentSettings {
  readonly drainIntervalMs: number;
  readonly snapshotIntervalMs: number;
  readonly reportIntervalMs: number;
  readonly leaseSaveIntervalMs: number;
  readonly spool: SpoolLimits;
  readonly reconnect?: Backoff;
  readonly syncAnswer?: Backoff;
}

export const agentSettings: AgentSettings = {
  drainIntervalMs: 250,
  snapshotIntervalMs: 5_000,
  reportIntervalMs: 60_000,
  leaseSaveIntervalMs: 600_000,
  spool: spoolLimits,
};
