import { Injectable } from '@nestjs/common';
import type { MetricInfo, Overview } from '@bpfleet/api';
import { TelemetryReads } from './telemetry-reads.js';

const SERIES_MAX = 20_000;
/** Of each metric so many series, the newest, are asked when they were last heard of. */
const LAST_AT_SERIES = 100;

interface MetricRow extends Omit<MetricInfo, 'lastAt'> {
  readonly lastAt: Date | null;
}

interface OverviewRow extends Omit<Overview, 'firstTelemetryAt' | 'lastTelemetryAt'> {
  readonly firstTelemetryAt: Date | null;
  readonly lastTelemetryAt: Date | null;
}

@Injectable()
export class MetricsQuery {
  constructor(private readonly reads: TelemetryReads) {}

  /** What there is to look at for one device. */
  async metricsOf(device: string): Promise<MetricInfo[]> {
    const newest = (table: string) =>
      `(SELECT max(n.ts) FROM unnest(l.ids) AS i CROSS JOIN LATERAL
         (SELECT ts FROM telemetry.${table} WHERE series = i ORDER BY ts DESC LIMIT 1) AS n)`;
    const { rows } = await this.reads.read((client) =>
      client.query<MetricRow>(
        `WITH own AS (SELECT id, probe, release, metric FROM telemetry.series WHERE device = $1 ORDER BY id DESC LIMIT ${SERIES_MAX}),
         lines AS (
           SELECT probe, metric, count(*)::int AS series, (array_agg(release ORDER BY id DESC))[1] AS release,
             (array_agg(id ORDER BY id DESC))[1:${LAST_AT_SERIES}] AS ids
           FROM own GROUP BY probe, metric
         )
         SELECT m.probe, m.metric, m.type, m.unit, m.help, m.labels, l.series,
           CASE WHEN m.type = 'histogram' THEN ${newest('hist')} ELSE ${newest('sample')} END AS "lastAt"
         FROM lines l JOIN telemetry.metric m USING (probe, release, metric) ORDER BY m.probe, m.metric`,
        [device],
      ),
    );
    return rows.map((row) => ({ ...row, lastAt: row.lastAt?.toISOString() ?? null }));
  }

  /** Counts over everything that was ever stored; cheap however much that is. */
  async overview(): Promise<Overview> {
    const { rows } = await this.reads.read((client) =>
      client.query<OverviewRow>(
        `SELECT (SELECT count(*)::int FROM "Device" WHERE status = 'active') AS devices,
           (SELECT count(*)::int FROM "Device" WHERE status = 'active' AND online) AS "devicesOnline",
           (SELECT count(*)::int FROM "Run" WHERE state IN ('ATTACHED', 'SOAKED', 'SUCCEEDED') AND "endedAt" IS NULL) AS "runsAttached",
           (SELECT count(*)::int FROM telemetry.series) AS series,
           coalesce(sum(samples), 0)::float8 AS samples, coalesce(sum(events), 0)::float8 AS events,
           min(first_at) AS "firstTelemetryAt", max(last_at) AS "lastTelemetryAt"
         FROM telemetry.tally`,
      ),
    );
    const row = rows[0] as OverviewRow;
    return {
      ...row,
      firstTelemetryAt: row.firstTelemetryAt?.toISOString() ?? null,
      lastTelemetryAt: row.lastTelemetryAt?.toISOString() ?? null,
    };
  }
}
