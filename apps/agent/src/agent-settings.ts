import type { Backoff } from './core/backoff.js';
import { spoolLimits, type SpoolLimits } from './store/spool.js';

export interface AgentSettings {
  readonly drainIntervalMs: number;
  readonly snapshotIntervalMs: number;
  readonly reportIntervalMs: number;
  readonly leaseSaveIntervalMs: number;
  /** Of what the reaper listens for; it waits for five minutes. */
  readonly heartbeatIntervalMs: number;
  readonly spool: SpoolLimits;
  readonly reconnect?: Backoff;
  readonly syncAnswer?: Backoff;
}

export const agentSettings: AgentSettings = {
  drainIntervalMs: 250,
  snapshotIntervalMs: 5_000,
  reportIntervalMs: 60_000,
  leaseSaveIntervalMs: 600_000,
  heartbeatIntervalMs: 60_000,
  spool: spoolLimits,
};
