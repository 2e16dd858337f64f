import type { ApiClient } from '@bpfleet/api';
import { digestOf } from '@bpfleet/trust';
import type { Facts } from '@bpfleet/wire';
import type { Type } from '@nestjs/common';
import { startApp, type TestApp } from '../../../../test/start-app.js';
import { Clock } from '../../../platform/clock.js';
import { ServerKeys } from '../../../platform/keys/server-keys.js';
import { PrismaService } from '../../../platform/prisma/prisma.service.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { addRelease, benchFacts } from '../../control/testing/bench.js';
import { kernelGroupOf, KernelGroups, KernelGroupsModule } from '../../kernels/groups/index.js';
import {
  KernelBtfs,
  KernelList,
  KernelsApiModule,
  KernelVerdicts,
  type NewKernelVerdict,
} from '../../kernels/index.js';
import { foreignBtf, type ForeignKernel } from '../../kernels/testing/kernel-btf.js';
import { SessionModule } from '../../session/index.js';
import { PreflightApiModule } from '../index.js';

const MIB = 1024 ** 2;

/** A machine with one of Debian's kernels, as its agent would tell it. */
export function kernelFacts(kernel: ForeignKernel, given: Partial<Facts> = {}): Facts {
  const arm = kernel === 'armhf-6.1';
  const [, series = ''] = kernel.split('-');
  return {
    ...benchFacts,
    kernelRelease: `${series}.0-1-${arm ? 'armmp' : 'arm64'}`,
    kernelArch: arm ? 'arm' : 'arm64',
    kernelBuildId: Buffer.from(kernel).toString('hex').padEnd(40, '0'),
    userBits: arm ? 32 : 64,
    btfDigest: arm ? null : digestOf(foreignBtf(kernel)),
    jit: arm ? 'off' : 'on',
    cpus: 2,
    possibleCpus: 2,
    memoryBytes: 1024 * MIB,
    features: ['hash', 'raw_tracepoint', 'ringbuf', ...(arm ? [] : ['btf'])],
    lacks: ['netkit', ...(arm ? ['btf', 'fentry'] : [])],
    understands: ['addendum'],
    ...given,
  };
}

/** A server with devices that were never there. */
export class PaperFleet {
  private devices = 0;
  private releases = 0;
  private runs = 0;

  private constructor(
    readonly server: TestApp,
    readonly api: ApiClient,
  ) {}

  static async start(): Promise<PaperFleet> {
    const server = await startApp([SessionModule, PreflightApiModule, KernelsApiModule, KernelGroupsModule]);
    return new PaperFleet(server, await server.admin());
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  get<T>(type: Type<T> | (abstract new (...args: never[]) => T)): T {
    return this.server.app.get(type as Type<T>, { strict: false });
  }

  async device(facts: Facts | undefined, site = 'all'): Promise<string> {
    const id = `dpaper${String(this.devices++).padStart(6, '0')}`;
    await this.get(PrismaService).device.create({
      data: { id, name: id, labels: { site }, ...(facts ? { facts } : {}) },
    });
    if (facts) await this.get(ControlSql).withTransaction((client) => this.get(KernelGroups).note(client, id, facts));
    return id;
  }

  /** The types that a device gave. */
  async knowTypes(...kernels: ForeignKernel[]): Promise<void> {
    for (const kernel of kernels) await this.knowBtf(foreignBtf(kernel), kernel === 'armhf-6.1' ? 32 : 64);
  }

  async knowBtf(bytes: Buffer, pointerBits: 32 | 64): Promise<void> {
    const digest = digestOf(bytes);
    await this.get(KernelBtfs).add({ digest, bytes, pointerBits, source: 'device', addedBy: 'dpaper' });
  }

  async release(object: Buffer, extra = ''): Promise<string> {
    const parts = {
      keys: this.server.app.get(ServerKeys),
      clock: this.get(Clock),
      prisma: this.get(PrismaService),
      get: this.get.bind(this),
    };
    return (await addRelease(parts, { probe: `paper_${this.releases++}`, object, extra })).id;
  }

  /** What the lab found out. */
  async prove(releaseId: string, facts: Facts, given: Partial<NewKernelVerdict> = {}): Promise<void> {
    const { id: kernelGroupId } = kernelGroupOf(facts);
    const [kernel] = await this.get(KernelList).groups([kernelGroupId]);
    const btfDigest = kernel?.btf.digest ?? null;
    const verdict = { stage: 'prove', globals: '', verdict: 'accepted', reasons: [], facts: {}, btfDigest } as const;
    await this.get(KernelVerdicts).record({ ...verdict, releaseId, kernelGroupId, ...given });
  }

  async running(
    deviceId: string,
    releaseId: string,
    given: { state?: string; wanted?: boolean; mapBytes?: number; kind?: 'assignment' | 'debug' } = {},
  ): Promise<void> {
    await this.get(PrismaService).run.create({
      data: {
        id: `rpaper${String(this.runs++).padStart(6, '0')}`,
        deviceId,
        releaseId,
        kind: given.kind ?? 'assignment',
        intent: 'a1',
        params: {},
        state: given.state ?? 'ATTACHED',
        wanted: given.wanted ?? true,
        ...(given.mapBytes === undefined ? {} : { stats: { mapBytes: given.mapBytes } }),
      },
    });
  }
}
