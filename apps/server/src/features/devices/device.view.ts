import type { Device } from '@bpfleet/api';
import type { RunCounts } from '../runs/index.js';

/** A row of `Device`, as far as it is shown. Rows do not leave this feature. */
export interface DeviceRow {
  id: string;
  name: string;
  labels: unknown;
  online: boolean;
  status: 'active' | 'revoked' | 'decommissioned';
  revokedAt: Date | null;
  revokedReason: string | null;
  lastSeenAt: Date | null;
  enrolledAt: Date;
  facts: unknown;
  desiredGeneration: number;
  reportedGeneration: bigint;
  refused: unknown;
  agent: unknown;
}

const NO_RUNS: RunCounts = { attached: 0, failed: 0, total: 0 };

export function deviceView(row: DeviceRow, runs: RunCounts = NO_RUNS): Device {
  return {
    id: row.id,
    name: row.name,
    labels: row.labels as Device['labels'],
    online: row.online,
    status: row.status,
    revoked: row.revokedAt && { at: row.revokedAt.toISOString(), reason: row.revokedReason ?? '' },
    lastSeenAt: row.lastSeenAt?.toISOString() ?? null,
    enrolledAt: row.enrolledAt.toISOString(),
    facts: (row.facts as Device['facts']) ?? null,
    desiredGeneration: row.desiredGeneration,
    reportedGeneration: Number(row.reportedGeneration),
    refused: (row.refused as Device['refused']) ?? null,
    agent: (row.agent as Device['agent']) ?? null,
    runs: { ...runs },
  };
}
