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
import { AuditLog } from '../audit/index.js';
import { DesiredQueue, lockIntents } from '../desired/queue/index.js';
import { Devices, readSelector } from '../devices/index.js';
import { checkParams, ReleaseCatalogue } from '../releases/catalogue/index.js';
import { Runs } from '../runs/index.js';
import { parseSelector, selects } from './selector/index.js';

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
    await this.sql.withTransaction(async (client) => {
      await lockIntents(client, 'exclusive');
      await assertRoom(client);
      await client.query(
        `INSERT INTO "Assignment" (id, "releaseId", probe, selector, params, "createdBy", "createdAt")
         VALUES ($1, $2, $3, $4, $5, $6, $7)`,
        [id, release.id, release.probe, body.selector, JSON.stringify(body.params), actor, this.clock.now()],
      );
      const matched = await this.devices.select(selector, client);
      await this.queue.due(
        client,
        matched.map((device) => device.id),
      );
      await this.live.publish({ type: 'assignment', assignment: id }, client);
      const { probe, version } = release;
      const details = { probe, version, selector: body.selector, params: body.params, devices: matched.length };
      await this.audit.record(client, { actor, action: 'assignment.create', subject: id, details });
    });
    return this.get(id);
  }

  /** What it made is removed from its devices, unless an older assignment of the probe takes over. Twice is once. */
  async withdraw(actor: string, id: string): Promise<Assignment> {
    const { probe, version, selector } = await this.get(id);
    await this.sql.withTransaction(async (client) => {
      await lockIntents(client, 'exclusive');
      const { rowCount } = await client.query(
        `UPDATE "Assignment" SET state = 'withdrawn', "withdrawnAt" = $2 WHERE id = $1 AND state = 'active'`,
        [id, this.clock.now()],
      );
      if (rowCount !== 1) return;
      const running = await client.query<{ id: string }>(
        'SELECT DISTINCT "deviceId" AS id FROM "Run" WHERE intent = $1 AND wanted',
        [id],
      );
      const matched = await this.devices.select(readSelector(selector), client);
      await this.queue.due(client, [...new Set([...running.rows, ...matched].map((device) => device.id))]);
      await this.live.publish({ type: 'assignment', assignment: id }, client);
      const details = { probe, version, selector };
      await this.audit.record(client, { actor, action: 'assignment.withdraw', subject: id, details });
    });
    return this.get(id);
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
    const row = await this.prisma.assignment.findUnique({ where: { id }, include: withVersion });
    if (!row) throw notFound('assignment', id);
    return (await this.views([row]))[0] as Assignment;
  }

  private async views(rows: readonly AssignmentRow[]): Promise<Assignment[]> {
    const [devices, states] = await Promise.all([
      this.devices.select({ kind: 'all' }),
      this.runs.statesOfIntents(rows.map(({ id }) => id)),
    ]);
    return rows.map((row) => {
      const selector = parseSelector(row.selector);
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
        devices: devices.filter((device) => selects(selector, device)).length,
        runs: states.get(row.id) ?? {},
      };
    });
  }
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
