import { Injectable } from '@nestjs/common';
import type { Device } from '@bpfleet/api';
import type { Facts } from '@bpfleet/wire';
import type pg from 'pg';
import type { BodyOf, QueryOf, ResponseOf } from '../../http/route.js';
import { DomainError, notFound } from '../../platform/errors.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { parseSelector, SelectorError, selects, type Selector } from '../assignments/selector/index.js';
import { AuditLog } from '../audit/log/index.js';
import { DesiredQueue } from '../desired/queue/index.js';
import { Runs } from '../runs/index.js';
import { deviceView, type DeviceRow } from './device.view.js';
import { cleanText } from './hostile-text.js';

/** Whose facts are held in memory at once. */
export const SELECTED_DEVICES_MAX = 50_000;

/** With as many selectors as there can be assignments, some tenths of a second. */
const PAGE_DEVICES = 500;

/** A device as selectors and previews see it. */
export interface SelectedDevice {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly facts: Facts | null;
}

const visible = {
  id: true,
  name: true,
  labels: true,
  online: true,
  status: true,
  revokedAt: true,
  revokedReason: true,
  lastSeenAt: true,
  enrolledAt: true,
  facts: true,
  desiredGeneration: true,
  reportedGeneration: true,
  refused: true,
  agent: true,
} as const;

@Injectable()
export class Devices {
  constructor(
    private readonly prisma: PrismaService,
    private readonly sql: ControlSql,
    private readonly live: LiveBus,
    private readonly runs: Runs,
    private readonly queue: DesiredQueue,
    private readonly audit: AuditLog,
  ) {}

  /** By name. `selector` is over all devices that are active; without one every device is listed. */
  async list(query: QueryOf<'listDevices'>): Promise<ResponseOf<'listDevices'>> {
    const selected = query.selector === undefined ? undefined : await this.matching(readSelector(query.selector));
    const cursor = query.cursor === undefined ? undefined : await this.cursorAt(query.cursor);
    // As one parameter: a list for Prisma may have 32,767, each of them one.
    const within = selected && { id: { in: await this.firstByName(selected, cursor, query.limit + 1) } };
    const after = cursor && { OR: [{ name: { gt: cursor.name } }, { name: cursor.name, id: { gt: cursor.id } }] };
    const [total, rows] = await Promise.all([
      selected ? selected.length : this.prisma.device.count(),
      this.prisma.device.findMany({
        where: { AND: [within ?? {}, after ?? {}] },
        select: visible,
        orderBy: [{ name: 'asc' }, { id: 'asc' }],
        take: query.limit + 1,
      }),
    ]);
    const page = rows.slice(0, query.limit);
    const more = rows.length > query.limit;
    return { items: await this.views(page), nextCursor: more ? (page.at(-1)?.id ?? null) : null, total };
  }

  async get(id: string): Promise<Device> {
    const row = await this.prisma.device.findUnique({ where: { id }, select: visible });
    if (!row) throw notFound('device', id);
    return (await this.views([row]))[0] as Device;
  }

  /** Name and labels are a person's; new labels may change what the device should run. */
  async update(actor: string, id: string, change: BodyOf<'updateDevice'>): Promise<Device> {
    const name = change.name === undefined ? undefined : cleanText(change.name);
    if (name === '')
      throw new DomainError(422, 'DEVICE_NAME_EMPTY', 'the name holds no visible character; give another');
    await this.sql.withTransaction(async (client) => {
      const { rows } = await client.query<{ online: boolean }>(
        `UPDATE "Device" SET name = COALESCE($2, name), labels = COALESCE($3, labels) WHERE id = $1 RETURNING online`,
        [id, name ?? null, change.labels ? JSON.stringify(cleanLabels(change.labels)) : null],
      );
      const row = rows[0];
      if (!row) throw notFound('device', id);
      await this.queue.due(client, [id]);
      await this.live.publish({ type: 'device', device: id, online: row.online }, client);
      await this.audit.record(client, { actor, action: 'device.update', subject: id, details: change });
    });
    return this.get(id);
  }

  /**
   * Active devices that the selector is known to match, with their facts, by id.
   * @throws DomainError 422 SELECTION_TOO_LARGE: an answer about some of them would pass for one about all
   */
  async select(selector: Selector): Promise<SelectedDevice[]> {
    const selected: SelectedDevice[] = [];
    for await (const page of this.pages()) {
      selected.push(...page.filter((device) => selects(selector, device)));
      if (selected.length > SELECTED_DEVICES_MAX) {
        throw new DomainError(
          422,
          'SELECTION_TOO_LARGE',
          `more than ${SELECTED_DEVICES_MAX} devices match, and this is answered for no more at once; narrow the selector`,
        );
      }
    }
    return selected;
  }

  /** The ids of all active devices that the selector is known to match; with `client`, as its transaction sees them. */
  async matching(selector: Selector, client?: pg.PoolClient): Promise<string[]> {
    const ids: string[] = [];
    for await (const page of this.pages(client)) {
      for (const device of page) if (selects(selector, device)) ids.push(device.id);
    }
    return ids;
  }

  /** How many active devices each selector is known to match. */
  async countMatches(selectors: readonly Selector[]): Promise<number[]> {
    const counts = selectors.map(() => 0);
    for await (const page of this.pages()) {
      for (const device of page) {
        for (const [index, selector] of selectors.entries()) {
          if (selects(selector, device)) counts[index] = (counts[index] ?? 0) + 1;
        }
      }
    }
    return counts;
  }

  /** All active devices by id, a few at a time, so that others are answered in between. */
  private async *pages(client?: pg.PoolClient): AsyncGenerator<readonly SelectedDevice[]> {
    for (let after = ''; ;) {
      const { rows } = await (client ?? this.sql.pool).query<SelectedDevice>(
        `SELECT id, name, labels, facts FROM "Device" WHERE status = 'active' AND id > $1 ORDER BY id LIMIT $2`,
        [after, PAGE_DEVICES],
      );
      yield rows;
      const last = rows.at(-1);
      if (!last || rows.length < PAGE_DEVICES) return;
      after = last.id;
    }
  }

  /** What one active device of each kernel group told of itself; groups without devices are absent. */
  async factsOfGroups(groupIds: readonly string[]): Promise<Map<string, Facts>> {
    const { rows } = await this.sql.pool.query<{ group: string; facts: Facts }>(
      `SELECT DISTINCT ON ("kernelGroupId") "kernelGroupId" AS "group", facts FROM "Device"
       WHERE "kernelGroupId" = ANY($1) AND status = 'active' AND facts IS NOT NULL
       ORDER BY "kernelGroupId", "lastSeenAt" DESC NULLS LAST, id`,
      [groupIds],
    );
    return new Map(rows.map(({ group, facts }) => [group, facts]));
  }

  /** Throws DEVICE_UNKNOWN (404), or DEVICE_INACTIVE (409) for one that was revoked or taken out of service. */
  async requireActive(id: string): Promise<void> {
    const row = await this.prisma.device.findUnique({ where: { id }, select: { status: true } });
    if (!row) throw notFound('device', id);
    if (row.status !== 'active') {
      throw new DomainError(409, 'DEVICE_INACTIVE', `device ${id} is ${row.status}: nothing can run on it`);
    }
  }

  private async firstByName(
    ids: readonly string[],
    after: { readonly id: string; readonly name: string } | undefined,
    limit: number,
  ): Promise<string[]> {
    const { rows } = await this.sql.pool.query<{ id: string }>(
      `SELECT id FROM "Device" WHERE id = ANY ($1) AND ($2::text IS NULL OR (name, id) > ($2, $3))
       ORDER BY name, id LIMIT $4`,
      [ids, after?.name ?? null, after?.id ?? null, limit],
    );
    return rows.map(({ id }) => id);
  }

  private async cursorAt(id: string): Promise<{ id: string; name: string }> {
    const row = await this.prisma.device.findUnique({ where: { id }, select: { id: true, name: true } });
    if (!row) throw new DomainError(400, 'CURSOR_INVALID', 'this cursor is of no device any more; list from the start');
    return row;
  }

  private async views(rows: readonly DeviceRow[]): Promise<Device[]> {
    const counts = await this.runs.countsOfDevices(rows.map(({ id }) => id));
    return rows.map((row) => deviceView(row, counts.get(row.id)));
  }
}

/** Throws SELECTOR_INVALID (422) with the column in its details. */
export function readSelector(text: string): Selector {
  try {
    return parseSelector(text);
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    const { code, message, column } = error;
    throw new DomainError(422, code, `the selector cannot be read: ${message}`, { column });
  }
}

export function cleanLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, cleanText(value)]));
}
