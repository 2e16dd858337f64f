import type { Run, RunState } from '@bpfleet/api';
import { runStateOf } from './run-machine.js';

/** A row of `Run` with the names that go with it. Rows do not leave this feature. */
export interface RunRow {
  id: string;
  deviceId: string;
  releaseId: string;
  kind: 'assignment' | 'debug';
  intent: string;
  params: unknown;
  state: string;
  error: unknown;
  hold: string | null;
  stats: unknown;
  createdAt: Date;
  updatedAt: Date;
  attachedAt: Date | null;
  endsAt: Date | null;
  endedAt: Date | null;
  device: { name: string };
  release: { probe: string; version: string };
}

export function runView(row: RunRow): Run {
  return {
    id: row.id,
    device: row.deviceId,
    deviceName: row.device.name,
    releaseId: row.releaseId,
    probe: row.release.probe,
    version: row.release.version,
    params: row.params as Run['params'],
    kind: row.kind,
    intent: row.intent,
    state: runStateOf(row.state),
    error: (row.error as Run['error']) ?? null,
    hold: row.hold,
    stats: (row.stats as Run['stats']) ?? null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    attachedAt: iso(row.attachedAt),
    endsAt: iso(row.endsAt),
    endedAt: iso(row.endedAt),
  };
}

export interface TransitionRow {
  at: Date;
  from: string | null;
  to: string;
  reason: string;
}

export function transitionView(row: TransitionRow): { at: string; from: string | null; to: RunState; reason: string } {
  return { at: row.at.toISOString(), from: row.from, to: runStateOf(row.to), reason: row.reason };
}

function iso(date: Date | null): string | null {
  return date?.toISOString() ?? null;
}
