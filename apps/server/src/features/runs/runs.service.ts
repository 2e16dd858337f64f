import { Injectable } from '@nestjs/common';
import type { Run } from '@bpfleet/api';
import type { QueryOf, ResponseOf } from '../../http/route.js';
import { notFound } from '../../platform/errors.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { attachedStates, failedStates, finalStates } from './run-machine.js';
import { runView, transitionView } from './run.view.js';

const HISTORY_MAX = 500;
/** Fifty thousand devices with ten runs each. */
const WANTED_MAX = 500_000;
const names = {
  device: { select: { name: true } },
  release: { select: { probe: true, version: true } },
} as const;

export interface WantedRun {
  readonly deviceId: string;
  readonly releaseId: string;
  readonly params: Run['params'];
}

export interface RunCounts {
  readonly attached: number;
  readonly failed: number;
  readonly total: number;
}

/** Reads runs: for the API, and as counts for the features that show them beside something else. */
@Injectable()
export class Runs {
  constructor(private readonly prisma: PrismaService) {}

  async list(query: QueryOf<'listRuns'>): Promise<Run[]> {
    const { live } = query;
    const rows = await this.prisma.run.findMany({
      where: {
        ...(query.device === undefined ? {} : { deviceId: query.device }),
        ...(query.release === undefined ? {} : { releaseId: query.release }),
        ...(query.kind === undefined ? {} : { kind: query.kind }),
        ...(live === undefined
          ? {}
          : { state: live === 'true' ? { notIn: [...finalStates] } : { in: [...finalStates] } }),
      },
      include: names,
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
      take: query.limit,
    });
    return rows.map(runView);
  }

  /** With the newest steps of its history, the oldest of them first. */
  async get(id: string): Promise<ResponseOf<'getRun'>> {
    const row = await this.prisma.run.findUnique({
      where: { id },
      include: { ...names, transitions: { orderBy: { id: 'desc' }, take: HISTORY_MAX } },
    });
    if (!row) throw notFound('run', id);
    return { ...runView(row), history: row.transitions.reverse().map(transitionView) };
  }

  /** Of what each device should run now. Devices without runs are absent. */
  async countsOfDevices(deviceIds: readonly string[]): Promise<Map<string, RunCounts>> {
    const groups = await this.prisma.run.groupBy({
      by: ['deviceId', 'state'],
      where: { deviceId: { in: [...deviceIds] }, wanted: true },
      _count: { _all: true },
    });
    const counts = new Map<string, RunCounts>();
    for (const { deviceId, state, _count } of groups) {
      const before = counts.get(deviceId) ?? { attached: 0, failed: 0, total: 0 };
      counts.set(deviceId, {
        attached: before.attached + ((attachedStates as string[]).includes(state) ? _count._all : 0),
        failed: before.failed + ((failedStates as string[]).includes(state) ? _count._all : 0),
        total: before.total + _count._all,
      });
    }
    return counts;
  }

  /** Runs by state, for each intent (an assignment's id): all that it ever made. */
  async statesOfIntents(intents: readonly string[]): Promise<Map<string, Record<string, number>>> {
    const groups = await this.prisma.run.groupBy({
      by: ['intent', 'state'],
      where: { intent: { in: [...intents] } },
      _count: { _all: true },
    });
    const states = new Map<string, Record<string, number>>();
    for (const { intent, state, _count } of groups) {
      states.set(intent, { ...states.get(intent), [state]: _count._all });
    }
    return states;
  }

  /** What devices are to run now and is not over, of active devices. */
  async wantedNow(): Promise<WantedRun[]> {
    const rows = await this.prisma.run.findMany({
      where: { wanted: true, state: { notIn: [...finalStates] }, device: { status: 'active' } },
      select: { deviceId: true, releaseId: true, params: true },
      orderBy: { id: 'asc' },
      take: WANTED_MAX,
    });
    return rows.map((row) => ({ ...row, params: row.params as Run['params'] }));
  }

  /** Connected devices with a debug run that is not over. */
  async onlineDevicesInDebug(): Promise<string[]> {
    const rows = await this.prisma.run.findMany({
      where: { kind: 'debug', wanted: true, endedAt: null, device: { online: true } },
      select: { deviceId: true },
      distinct: ['deviceId'],
      orderBy: { deviceId: 'asc' },
    });
    return rows.map(({ deviceId }) => deviceId);
  }

  /** How many runs of each probe are in a kernel now. */
  async attachedByProbe(): Promise<Map<string, number>> {
    const groups = await this.prisma.run.groupBy({
      by: ['releaseId'],
      where: { wanted: true, state: { in: [...attachedStates] } },
      _count: { _all: true },
    });
    const releases = await this.prisma.release.findMany({
      where: { id: { in: groups.map(({ releaseId }) => releaseId) } },
      select: { id: true, probe: true },
    });
    const probes = new Map(releases.map(({ id, probe }) => [id, probe]));
    const counts = new Map<string, number>();
    for (const { releaseId, _count } of groups) {
      const probe = probes.get(releaseId);
      if (probe !== undefined) counts.set(probe, (counts.get(probe) ?? 0) + _count._all);
    }
    return counts;
  }
}
