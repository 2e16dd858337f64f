import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Assignment } from '@bpfleet/api';
import type pg from 'pg';
import type { BodyOf } from '../../http/route.js';
import { Clock } from '../../platform/clock.js';
import { DomainError, notFound } from '../../platform/errors.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { AuditLog } from '../audit/log/index.js';
import { DesiredQueue, lockIntents } from '../desired/queue/index.js';
import { Devices, readSelector } from '../devices/index.js';
import { checkParams, ReleaseCatalogue } from '../releases/catalogue/index.js';
import { Runs } from '../runs/index.js';
import { MatchCounts } from './match-counts.js';

const LISTED_MAX = 500;
const ACTIVE_MAX = 1_000;

interface AssignmentRow {
  id: string;
  releaseId: string;
  probe: string;
  selector: string;
  params: unknown;
  state: 'active' | 'withdrawn';
  createdAt: Date;
  createdBy: string;
  release: { version: string };
}

const withVersion = { release: { select: { version: true } } } as const;

/** A selector gets a release. The newest assignment of a probe wins on each device; devices that match later get it too. */
@Injectable()
export class Assignments {
  constructor(
    private readonly prisma: PrismaService,
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly live: LiveBus,
    private readonly devices: Devices,
    private readonly releases: ReleaseCatalogue,
    private readonly matches: MatchCounts,
    private readonly runs: Runs,
    private readonly queue: DesiredQueue,
    private readonly audit: AuditLog,
  ) {}

  /** Throws SELECTOR_INVALID, RELEASE_UNKNOWN, PARAM_INVALID, or ASSIGNMENTS_FULL. */
  async create(actor: string, body: BodyOf<'createAssignment'>): Promise<Assignment> {
    const selector = readSelector(body.selector);
    const release = await this.releases.get(body.releaseId);
    checkParams(release.manifest, body.params);
    const id = randomUUID();
    const devices = await this.sql.withTransaction(async (client) => {
      await lockIntents(client, 'exclusive');
      await assertRoom(client);
      await client.query(
        `INSERT INTO "Assignment" (id, "releaseId", probe, selector, params, "createdBy", "createdAt")
         VALUES ($1, $2, $3, $4, $5, $6, $7)`,
        [id, release.id, release.probe, body.selector, JSON.stringify(body.params), actor, this.clock.now()],
      );
      const matched = await this.devices.matching(selector, client);
      await this.queue.due(client, matched);
      await this.live.publish({ type: 'assignment', assignment: id }, client);
      const { probe, version } = release;
      const details = { probe, version, selector: body.selector, params: body.params, devices: matched.length };
      await this.audit.record(client, { actor, action: 'assignment.create', subject: id, details });
      return matched.length;
    });
    return this.view(await this.row(id), devices);
  }

  /**
   * What it made is removed from its devices, unless an older assignment of the probe takes over. Twice is once. The answer's
   * `devices` are those that this changes. People stop a probe that does harm by this: it waits for no look at the fleet, since
   * a device that runs what an assignment asks for has a run that says so, and one that does not know of it yet is due anyway.
   */
  async withdraw(actor: string, id: string): Promise<Assignment> {
    const { probe, release, selector } = await this.row(id);
    const devices = await this.sql.withTransaction(async (client) => {
      await lockIntents(client, 'exclusive');
      const { rowCount } = await client.query(
        `UPDATE "Assignment" SET state = 'withdrawn', "withdrawnAt" = $2 WHERE id = $1 AND state = 'active'`,
        [id, this.clock.now()],
      );
      if (rowCount !== 1) return 0;
      const running = await client.query<{ id: string }>(
        'SELECT DISTINCT "deviceId" AS id FROM "Run" WHERE intent = $1 AND wanted',
        [id],
      );
      // Where this one found no room in a device's desired state, another of its probe may.
      const matched = (await isAskedForElsewhere(client, probe))
        ? await this.devices.matching(readSelector(selector), client)
        : [];
      const touched = new Set([...running.rows.map((device) => device.id), ...matched]);
      await this.queue.due(client, [...touched]);
      await this.live.publish({ type: 'assignment', assignment: id }, client);
      const details = { probe, version: release.version, selector };
      await this.audit.record(client, { actor, action: 'assignment.withdraw', subject: id, details });
      return touched.size;
    });
    return this.view(await this.row(id), devices);
  }

  async list(): Promise<Assignment[]> {
    const rows = await this.prisma.assignment.findMany({
      include: withVersion,
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
      take: LISTED_MAX,
    });
    return this.views(rows);
  }

  async get(id: string): Promise<Assignment> {
    return (await this.views([await this.row(id)]))[0] as Assignment;
  }

  private async row(id: string): Promise<AssignmentRow> {
    const row = await this.prisma.assignment.findUnique({ where: { id }, include: withVersion });
    if (!row) throw notFound('assignment', id);
    return row;
  }

  private async view(row: AssignmentRow, devices: number): Promise<Assignment> {
    return viewOf(row, devices, await this.runs.statesOfIntents([row.id]));
  }

  private async views(rows: readonly AssignmentRow[]): Promise<Assignment[]> {
    const active = rows.filter(({ state }) => state === 'active');
    const [devices, states] = await Promise.all([
      this.matches.of(active.map(({ selector }) => selector)),
      this.runs.statesOfIntents(rows.map(({ id }) => id)),
    ]);
    return rows.map((row) => viewOf(row, row.state === 'active' ? (devices.get(row.selector) ?? 0) : 0, states));
  }
}

/** `devices`: to how many it goes now; none, when it is withdrawn. */
function viewOf(
  row: AssignmentRow,
  devices: number,
  states: ReadonlyMap<string, Readonly<Record<string, number>>>,
): Assignment {
  return {
    id: row.id,
    releaseId: row.releaseId,
    probe: row.probe,
    version: row.release.version,
    selector: row.selector,
    params: row.params as Assignment['params'],
    state: row.state,
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
    devices,
    runs: states.get(row.id) ?? {},
  };
}

async function isAskedForElsewhere(client: pg.PoolClient, probe: string): Promise<boolean> {
  const { rowCount } = await client.query(`SELECT FROM "Assignment" WHERE state = 'active' AND probe = $1 LIMIT 1`, [
    probe,
  ]);
  return rowCount === 1;
}

async function assertRoom(client: pg.PoolClient): Promise<void> {
  const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM "Assignment" WHERE state = 'active'`);
  if (Number(rows[0]?.count) < ACTIVE_MAX) return;
  throw new DomainError(
    409,
    'ASSIGNMENTS_FULL',
    `there are ${ACTIVE_MAX} active assignments; withdraw some that newer ones have replaced`,
  );
}
