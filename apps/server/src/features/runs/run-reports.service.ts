import { Injectable } from '@nestjs/common';
import type { RunState } from '@bpfleet/api';
import type { RunError, RunReport } from '@bpfleet/wire';
import type pg from 'pg';
import { Clock } from '../../platform/clock.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { applyReport, isFinal, isLateRefusal, runStateOf } from './run-machine.js';
import { RunTransitions } from './run-transitions.js';

/**
 * `applied`: the state moved; `noted`: statistics only, or why a run that is over had been refused; `stale`: an older revision; `refused`: this state cannot follow;
 * `unknown`: no such run on this device (for instance one that a restored backup does not have).
 */
export type ReportOutcome = 'applied' | 'noted' | 'stale' | 'refused' | 'unknown';

export interface ReportResult {
  readonly outcome: ReportOutcome;
  /** A debug run came to its end, so that the device's desired state has an entry too many. */
  readonly debugEnded: boolean;
}

interface RunRow {
  id: string;
  deviceId: string;
  kind: string;
  state: string;
  revision: string;
  digest: string;
}

const LOST_RACES_MAX = 3;
const REASON_CHARS_MAX = 1000;

/** What a device says about its runs: ordered by revision, so that late and repeated reports change nothing. */
@Injectable()
export class RunReports {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly transitions: RunTransitions,
  ) {}

  async apply(deviceId: string, report: RunReport): Promise<ReportResult> {
    for (let attempt = 0; attempt < LOST_RACES_MAX; attempt++) {
      const result = await this.sql.withTransaction((client) => this.applyOnce(client, deviceId, report));
      if (result) return result;
    }
    return { outcome: 'stale', debugEnded: false };
  }

  /** Undefined when another report of this run was applied in between: read again. */
  private async applyOnce(
    client: pg.PoolClient,
    deviceId: string,
    report: RunReport,
  ): Promise<ReportResult | undefined> {
    const { rows } = await client.query<RunRow>(
      `SELECT r.id, r."deviceId", r.kind, r.state, r.revision, l.digest
       FROM "Run" r JOIN "Release" l ON l.id = r."releaseId" WHERE r.id = $1 AND r."deviceId" = $2`,
      [report.run, deviceId],
    );
    const run = rows[0];
    if (!run) return { outcome: 'unknown', debugEnded: false };
    if (run.digest !== report.release) return { outcome: 'refused', debugEnded: false };
    const known = Number(run.revision);
    if (report.revision < known) return { outcome: 'stale', debugEnded: false };
    const from = runStateOf(run.state);
    const step = report.revision === known ? ({ kind: 'stay' } as const) : applyReport(from, report.state);
    if (step.kind === 'move' && !(await this.move(client, run, from, step.to, report))) return undefined;
    if (report.revision > known && step.kind !== 'move' && report.error && isLateRefusal(from, report.state)) {
      return this.late(client, run, from, report, report.error);
    }
    await this.note(client, report);
    const debugEnded = step.kind === 'move' && run.kind === 'debug' && isFinal(step.to);
    return { outcome: step.kind === 'move' ? 'applied' : step.kind === 'stay' ? 'noted' : 'refused', debugEnded };
  }

  private move(client: pg.PoolClient, run: RunRow, from: RunState, to: RunState, report: RunReport): Promise<boolean> {
    const { error, revision } = report;
    const reason = error ? `the device: ${error.code}: ${error.message}` : 'the device reported it';
    const move = { id: run.id, deviceId: run.deviceId, from, to, reason: reason.slice(0, REASON_CHARS_MAX) };
    return this.transitions.report(client, move, revision, error ? keptError(error) : null);
  }

  private async late(
    client: pg.PoolClient,
    run: RunRow,
    state: RunState,
    { revision, state: reported }: RunReport,
    error: RunError,
  ): Promise<ReportResult | undefined> {
    const { id, deviceId } = run;
    const said = `the device, before it had heard of this: ${reported}: ${error.code}: ${error.message}`;
    const move = { id, deviceId, from: state, to: state, reason: said.slice(0, REASON_CHARS_MAX) };
    const added = await this.transitions.addReason(client, move, revision, keptError(error));
    return added ? { outcome: 'noted', debugEnded: false } : undefined;
  }

  /** Counters are absolute and only the newest matter; those of an ended run are kept too. */
  private async note(client: pg.PoolClient, report: RunReport): Promise<void> {
    await client.query(
      `UPDATE "Run" SET revision = GREATEST(revision, $2), stats = COALESCE($3, stats), programs = COALESCE($4, programs),
         hold = COALESCE($5, hold), "updatedAt" = $6 WHERE id = $1`,
      [
        report.run,
        report.revision,
        report.stats ? JSON.stringify(report.stats) : null,
        report.programs ? JSON.stringify(report.programs) : null,
        report.hold ?? null,
        this.clock.now(),
      ],
    );
  }
}

function keptError({ code, message, log }: RunError): { code: string; message: string; log: string | null } {
  return { code, message, log: log ?? null };
}
