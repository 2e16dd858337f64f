import { Injectable } from '@nestjs/common';
import type { Probe, Release } from '@bpfleet/api';
import { notFound } from '../../platform/errors.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { Runs } from '../runs/index.js';
import { releaseView } from './release.view.js';

const LISTED_MAX = 200;
const VERDICTS_MAX = 100;
const withVerdicts = { verdicts: { orderBy: { provenAt: 'desc' }, take: VERDICTS_MAX } } as const;

interface ProbeRow {
  probe: string;
  summary: string;
  id: string;
  version: string;
  createdAt: Date;
  releases: string;
}

/** Reads releases and the probes that they are versions of. */
@Injectable()
export class Releases {
  constructor(
    private readonly prisma: PrismaService,
    private readonly sql: ControlSql,
    private readonly runs: Runs,
  ) {}

  async get(id: string): Promise<Release> {
    const row = await this.prisma.release.findUnique({ where: { id }, include: withVerdicts });
    if (!row) throw notFound('release', id);
    return releaseView(row, { logs: true });
  }

  /** Newest first, without the verifier's logs. */
  async list(probe: string | undefined): Promise<Release[]> {
    const rows = await this.prisma.release.findMany({
      ...(probe === undefined ? {} : { where: { probe } }),
      include: withVerdicts,
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
      take: LISTED_MAX,
    });
    return rows.map((row) => releaseView(row, { logs: false }));
  }

  async probes(): Promise<Probe[]> {
    const [{ rows }, attached] = await Promise.all([
      this.sql.pool.query<ProbeRow>(
        `SELECT DISTINCT ON (probe) probe, summary, id, version, "createdAt", count(*) OVER (PARTITION BY probe) AS releases
         FROM "Release" ORDER BY probe, "createdAt" DESC, id LIMIT 1000`,
      ),
      this.runs.attachedByProbe(),
    ]);
    return rows.map(({ probe, summary, id, version, createdAt, releases }) => ({
      name: probe,
      summary,
      latest: { id, version, createdAt: createdAt.toISOString() },
      releases: Number(releases),
      runsAttached: attached.get(probe) ?? 0,
    }));
  }
}
