import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { BtfError, ParamError, readObject, type ParamValue } from '@bpfleet/probe';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { Clock } from '../../../platform/clock.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { objectFor, VERDICT_VERSIONS } from '../../kernels/index.js';
import { ReleaseCatalogue } from '../../releases/catalogue/index.js';
import { DEFAULT_GLOBALS, globalsDigest } from './globals-digest.js';

type Params = Readonly<Record<string, ParamValue>>;

/** Of one release on one architecture that are assigned: those of the newest assignments are proven. */
export const ASSIGNED_SETS_MAX = 8;
/** Of those that somebody asked about, in the time that they are kept. */
export const ASKED_SETS_MAX = 4;
const ASKED_KEPT_MS = 24 * 60 * 60_000;
const ASSIGNMENTS_READ_MAX = 1_000;
const DIGESTS_KEPT_MAX = 1_000;

interface Assigned {
  readonly releaseId: string;
  readonly params: Params;
  readonly at: Date;
}

interface ParamSet {
  readonly releaseId: string;
  readonly kernelArch: string;
  readonly globals: string;
  readonly params: Params;
  readonly askedAt: Date;
}

/**
 * With which parameters releases are to be proven beside their defaults: those of active assignments, and a few that people
 * have asked about lately. What is dropped takes its verdicts with it.
 */
@Injectable()
export class LabParams {
  /** Oldest first. */
  private readonly digests = new Map<string, string>();

  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly blobs: BlobStore,
    private readonly releases: ReleaseCatalogue,
  ) {}

  /** Makes them those that are wanted now. */
  async refresh(): Promise<void> {
    const live = JSON.stringify(await this.assigned());
    const cutoff = new Date(this.clock.now().getTime() - ASKED_KEPT_MS);
    await this.sql.withTransaction(async (client) => {
      await client.query(
        `INSERT INTO "LabParams" ("releaseId", "kernelArch", globals, params, "askedAt")
         SELECT "releaseId", "kernelArch", globals, params, "askedAt" FROM ${LIVE}
         WHERE EXISTS (SELECT FROM "Release" r WHERE r.id = "releaseId") ON CONFLICT DO NOTHING`,
        [live],
      );
      const { rowCount } = await client.query(
        `DELETE FROM "LabParams" p USING (
           SELECT q."releaseId", q."kernelArch", q.globals, q."askedAt", l.globals IS NOT NULL AS live, row_number() OVER (
             PARTITION BY q."releaseId", q."kernelArch" ORDER BY l.globals IS NULL, q."askedAt" DESC, q.globals) AS place
           FROM "LabParams" q LEFT JOIN ${LIVE} USING ("releaseId", "kernelArch", globals)) ranked
         WHERE (p."releaseId", p."kernelArch", p.globals) = (ranked."releaseId", ranked."kernelArch", ranked.globals)
           AND (ranked.place > $2 OR (NOT ranked.live AND ranked."askedAt" < $3))`,
        [live, ASSIGNED_SETS_MAX + ASKED_SETS_MAX, cutoff],
      );
      if (rowCount) await forgetUnnamed(client);
    });
  }

  /**
   * Somebody wants to know: they are proven too where the lab has a kernel of that architecture. Too many that were asked about
   * make room where nobody has proven them yet, such as those of a number that is being typed; so no more are proven in a day than
   * are kept. `globals` and `params` belong together. False when nothing is to be expected of the lab.
   */
  async ask(releaseId: string, kernelArch: string, globals: string, params: Params): Promise<boolean> {
    const now = this.clock.now();
    const since = new Date(now.getTime() - ASKED_KEPT_MS);
    return this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<{ globals: string; isProven: boolean; isAsked: boolean }>(
        `SELECT p.globals, p."askedAt" > $3 AND NOT EXISTS (SELECT FROM "Assignment" a
             WHERE a."releaseId" = p."releaseId" AND a.state = 'active' AND a.params = p.params) AS "isAsked", EXISTS (SELECT FROM "KernelVerdict" v
           WHERE v."releaseId" = p."releaseId" AND v.globals = p.globals AND v.version = $4) AS "isProven"
         FROM "LabParams" p WHERE "releaseId" = $1 AND "kernelArch" = $2 ORDER BY "askedAt", globals FOR UPDATE`,
        [releaseId, kernelArch, since, VERDICT_VERSIONS.prove],
      );
      const same = rows.find((row) => row.globals === globals);
      if (same) return !same.isProven;
      const asked = rows.filter(({ isAsked }) => isAsked);
      const tooMany = Math.max(0, asked.length + 1 - ASKED_SETS_MAX);
      const given = asked.filter(({ isProven }) => !isProven).slice(0, tooMany);
      if (given.length < tooMany) return false;
      if (given.length > 0) {
        await client.query(
          'DELETE FROM "LabParams" WHERE "releaseId" = $1 AND "kernelArch" = $2 AND globals = ANY($3)',
          [releaseId, kernelArch, given.map((row) => row.globals)],
        );
        await forgetUnnamed(client);
      }
      const { rowCount } = await client.query(
        `INSERT INTO "LabParams" ("releaseId", "kernelArch", globals, params, "askedAt")
       SELECT $1, $2, $3, $4, $5 WHERE
         EXISTS (SELECT FROM "LabKernel" k JOIN "KernelGroup" g ON g.id = k."kernelGroupId" WHERE g."kernelArch" = $2)
       ON CONFLICT DO NOTHING`,
        [releaseId, kernelArch, globals, params, now],
      );
      return rowCount === 1;
    });
  }

  /** Undefined for those that are not to be proven any more. */
  async of(releaseId: string, kernelArch: string, globals: string): Promise<Params | undefined> {
    if (globals === DEFAULT_GLOBALS) return {};
    const { rows } = await this.sql.pool.query<Pick<ParamSet, 'params'>>(
      'SELECT params FROM "LabParams" WHERE "releaseId" = $1 AND "kernelArch" = $2 AND globals = $3',
      [releaseId, kernelArch, globals],
    );
    return rows[0]?.params;
  }

  /** On the architectures that the lab has kernels of. */
  private async assigned(): Promise<ParamSet[]> {
    const [assignments, arches] = await Promise.all([
      this.sql.pool.query<Assigned>(
        `SELECT "releaseId", params, max("createdAt") AS at FROM "Assignment"
         WHERE state = 'active' AND params <> '{}' GROUP BY 1, 2 ORDER BY 3 DESC, 1 LIMIT $1`,
        [ASSIGNMENTS_READ_MAX],
      ),
      this.sql.pool.query<{ arch: string }>(
        'SELECT DISTINCT g."kernelArch" AS arch FROM "LabKernel" k JOIN "KernelGroup" g ON g.id = k."kernelGroupId"',
      ),
    ]);
    const sets = new Map<string, Map<string, ParamSet>>();
    for (const { releaseId, params, at: askedAt } of assignments.rows) {
      for (const { arch: kernelArch } of arches.rows) {
        const globals = await this.digest(releaseId, kernelArch, params);
        const key = `${releaseId} ${kernelArch}`;
        const mine = sets.get(key) ?? new Map<string, ParamSet>();
        if (globals === DEFAULT_GLOBALS || mine.has(globals) || mine.size >= ASSIGNED_SETS_MAX) continue;
        sets.set(key, mine.set(globals, { releaseId, kernelArch, globals, params, askedAt }));
      }
    }
    return [...sets.values()].flatMap((mine) => [...mine.values()]);
  }

  /** What cannot be loaded with them anyway is as good as the default here: pre-flight says so. */
  private async digest(releaseId: string, kernelArch: string, params: Params): Promise<string> {
    const key = JSON.stringify([releaseId, kernelArch, params]);
    const kept = this.digests.get(key);
    if (kept !== undefined) return kept;
    const found = await this.findDigest(releaseId, kernelArch, params);
    const oldest = this.digests.keys().next();
    if (this.digests.size >= DIGESTS_KEPT_MAX && !oldest.done) this.digests.delete(oldest.value);
    this.digests.set(key, found);
    return found;
  }

  private async findDigest(releaseId: string, kernelArch: string, params: Params): Promise<string> {
    const release = await this.releases.find(releaseId);
    const chosen = release && objectFor(release, kernelArch);
    const bytes = chosen && (await this.blobs.get(chosen.digest));
    if (!release || !bytes) return DEFAULT_GLOBALS;
    try {
      return globalsDigest(readObject(bytes), release.manifest, params);
    } catch (error) {
      if (error instanceof ParamError || error instanceof BtfError) return DEFAULT_GLOBALS;
      throw error;
    }
  }
}

/** What was queued and found out with parameters that are not to be proven any more. */
async function forgetUnnamed(client: pg.PoolClient): Promise<void> {
  for (const table of ['LabJob', 'KernelVerdict']) {
    await client.query(
      `DELETE FROM "${table}" t WHERE t.globals <> '' AND NOT EXISTS (
         SELECT FROM "LabParams" p WHERE p."releaseId" = t."releaseId" AND p.globals = t.globals)`,
    );
  }
}

const LIVE = `jsonb_to_recordset($1::jsonb)
  AS l("releaseId" text, "kernelArch" text, globals text, params jsonb, "askedAt" timestamptz(3))`;
