import { Injectable } from '@nestjs/common';
import type { RunReport } from '@bpfleet/wire';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { DesiredQueue } from '../desired/queue/index.js';
import { RunReports } from '../runs/index.js';
import { Refusals } from './refusals.js';

/** Gives reports to the runs they are about, and counts those that fit no run. */
@Injectable()
export class RunIntake {
  constructor(
    private readonly runs: RunReports,
    private readonly sql: ControlSql,
    private readonly queue: DesiredQueue,
    private readonly refusals: Refusals,
  ) {}

  async take(device: string, reports: readonly RunReport[]): Promise<void> {
    // Of one run the last word counts: a message may hold 64 of them, each of which would be a step of its history.
    for (const report of new Map(reports.map((one) => [one.run, one])).values()) {
      const { outcome, debugEnded } = await this.runs.apply(device, report);
      if (outcome === 'unknown') this.refusals.count('RUN_UNKNOWN', device, `it has no run ${report.run}`);
      if (outcome === 'refused') {
        this.refusals.count('RUN_STATE', device, `run ${report.run} cannot become ${report.state}`);
      }
      // The entry of a debug run that is over leaves the device's desired state.
      if (debugEnded) await this.sql.withTransaction((client) => this.queue.due(client, [device]));
    }
  }
}
