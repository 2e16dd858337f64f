import { Injectable } from '@nestjs/common';
import type { Run } from '@bpfleet/api';
import type { Facts } from '@bpfleet/wire';
import type pg from 'pg';
import type { BodyOf } from '../../http/route.js';
import { Config } from '../../config/config.js';
import { Clock } from '../../platform/clock.js';
import { DomainError } from '../../platform/errors.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { AuditLog } from '../audit/log/index.js';
import { DEBUG_ENTRIES_MAX, DesiredQueue, ENTRIES_BYTES_MAX, entryBytes, extraBytes } from '../desired/queue/index.js';
import { Devices } from '../devices/index.js';
import { checkParams, ReleaseCatalogue } from '../releases/catalogue/index.js';
import { isAttached, isFinal, mintRunId, Runs, RunTransitions } from '../runs/index.js';

const LOST_RACES_MAX = 5;

interface Entry {
  readonly probe: string;
  readonly version: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly intent: string;
}

/** A release on one device for some minutes. It ends by itself: on the device by its own clock, here by ours. */
@Injectable()
export class DebugRuns {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly devices: Devices,
    private readonly releases: ReleaseCatalogue,
    private readonly runs: Runs,
    private readonly transitions: RunTransitions,
    private readonly queue: DesiredQueue,
    private readonly audit: AuditLog,
    private readonly config: Config,
  ) {}

  /** Throws DEVICE_UNKNOWN, DEVICE_INACTIVE, RELEASE_UNKNOWN, PARAM_INVALID, DEBUG_SLOTS_FULL, or DEBUG_NO_ROOM. */
  async create(actor: string, body: BodyOf<'createDebugRun'>): Promise<Run> {
    await this.devices.requireActive(body.device);
    const release = await this.releases.get(body.releaseId);
    checkParams(release.manifest, body.params);
    const id = mintRunId();
    const endsAt = new Date(this.clock.now().getTime() + body.minutes * 60_000);
    await this.sql.withTransaction(async (client) => {
      await this.queue.due(client, [body.device]);
      await assertSlot(client, body.device);
      const wanted = { probe: release.probe, version: release.version, params: body.params, intent: id };
      await assertRoom(client, body.device, wanted, this.config.tailoredBtf);
      await this.transitions.begin(client, {
        id,
        deviceId: body.device,
        releaseId: release.id,
        kind: 'debug',
        intent: actor,
        params: body.params,
        endsAt,
        reason: `${actor} asked for ${body.minutes} minutes`,
      });
      const { device, minutes, params } = body;
      const details = { device, probe: release.probe, version: release.version, minutes, params };
      await this.audit.record(client, { actor, action: 'debug.create', subject: id, details });
    });
    return this.view(id);
  }

  /** Stopping what is over changes nothing. Throws RUN_UNKNOWN or RUN_NOT_DEBUG. */
  async stop(actor: string, id: string): Promise<Run> {
    for (let attempt = 0; attempt < LOST_RACES_MAX; attempt++) {
      const run = await this.view(id);
      if (run.kind !== 'debug') {
        throw new DomainError(409, 'RUN_NOT_DEBUG', `run ${id} belongs to an assignment; withdraw that instead`);
      }
      if (isFinal(run.state)) return run;
      const stopped = await this.sql.withTransaction(async (client) => {
        const to = isAttached(run.state) ? 'ENDED' : 'REMOVED';
        const move = { id, deviceId: run.device, from: run.state, to, reason: `${actor} stopped it` } as const;
        await this.queue.due(client, [run.device]);
        if (!(await this.transitions.decide(client, move))) return false;
        await this.audit.record(client, { actor, action: 'debug.stop', subject: id, details: { device: run.device } });
        return true;
      });
      if (stopped) return this.view(id);
    }
    throw new DomainError(409, 'RUN_CHANGING', `run ${id} changes too quickly; try again`);
  }

  private async view(id: string): Promise<Run> {
    const { history: _, ...run } = await this.runs.get(id);
    return run;
  }
}

/** The device's row is locked by then, so that two people cannot both take the last slot. */
async function assertSlot(client: pg.PoolClient, deviceId: string): Promise<void> {
  const { rows } = await client.query<{ count: string }>(
    `SELECT count(*) FROM "Run" WHERE "deviceId" = $1 AND kind = 'debug' AND wanted AND "endedAt" IS NULL`,
    [deviceId],
  );
  if (Number(rows[0]?.count) < DEBUG_ENTRIES_MAX) return;
  throw new DomainError(
    409,
    'DEBUG_SLOTS_FULL',
    `device ${deviceId} already has ${DEBUG_ENTRIES_MAX} debug runs; stop one of them first`,
  );
}

/**
 * Debug yields to assignments: where they fill the desired state, a run would be refused in a moment, and a person is told now.
 * What changes in that moment is found out when the desired state is decided.
 */
async function assertRoom(
  client: pg.PoolClient,
  deviceId: string,
  wanted: Entry,
  tailored: 'missing' | 'always',
): Promise<void> {
  const device = await client.query<{ facts: Facts | null }>('SELECT facts FROM "Device" WHERE id = $1', [deviceId]);
  const { rows } = await client.query<Entry>(
    `SELECT l.probe, l.version, r.params, CASE WHEN r.kind = 'debug' THEN r.id ELSE r.intent END AS intent
     FROM "Run" r JOIN "Release" l ON l.id = r."releaseId"
     WHERE r."deviceId" = $1 AND r.wanted AND (r."endedAt" IS NULL OR r.state = 'FAILED')`,
    [deviceId],
  );
  const extra = extraBytes(device.rows[0]?.facts ?? null, tailored);
  const bytes = [...rows, wanted].map((entry) => entryBytes({ ...entry, release: entry }) + extra);
  const total = bytes.reduce((sum, one) => sum + one, 0);
  if (total <= ENTRIES_BYTES_MAX) return;
  throw new DomainError(
    409,
    'DEBUG_NO_ROOM',
    `what runs on device ${deviceId} fills its desired state, and debug yields to it; withdraw an assignment that it can do without`,
  );
}
