import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startApp, type TestApp } from '../../../test/start-app.js';
import { Config } from '../../config/config.js';
import { Clock } from '../../platform/clock.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { ControlSql } from '../../platform/sql/control-sql.js';
import { LabWorkerModule } from './index.js';
import { LabWorker } from './lab-worker.js';
import type { LabSession } from './session/lab-session.js';
import { FakeMachines } from './testing/fake-machines.js';

let server: TestApp;
beforeAll(async () => {
  server = await startApp([LabWorkerModule], { BPFLEET_ROLES: 'lab', BPFLEET_LAB_MACHINES: '3' });
});
afterAll(() => server?.stop());

const hosts = () => server.app.get(PrismaService).labHost.findMany();

/** Rows are written by a pump that nobody waits for. */
async function untilHosts(count: number): Promise<Awaited<ReturnType<typeof hosts>>> {
  for (;;) {
    const found = await hosts();
    if (found.length === count) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function workerOver(machines: FakeMachines, run: LabSession['run']): LabWorker {
  const { app } = server;
  const session = { run } as LabSession;
  return new LabWorker(app.get(Config), app.get(Clock), app.get(LiveBus), app.get(ControlSql), machines, session);
}

describe('a server with the role lab', () => {
  it('is put together, and says how many VMs it runs', async () => {
    const [host] = await untilHosts(1);
    // Where QEMU is missing it says so instead.
    expect(host).toMatchObject(host?.reason === null ? { machines: 3 } : { machines: 0 });
  });

  it('boots nothing where QEMU is missing, and says why', async () => {
    const machines = new FakeMachines();
    machines.lacking = 'this host has no qemu-system-aarch64';
    const run = jest.fn<LabSession['run']>();
    const worker = workerOver(machines, run);
    await worker.onApplicationBootstrap();
    const lacking = (await untilHosts(2)).find(({ reason }) => reason === machines.lacking);
    expect(lacking).toMatchObject({ machines: 0 });
    await worker.onModuleDestroy();
    expect(run).not.toHaveBeenCalled();
    expect(await hosts()).toHaveLength(1);
  });

  it('boots as many at once as are configured, and ends them all when it stops', async () => {
    const signals: AbortSignal[] = [];
    const run: LabSession['run'] = (_holder, stop) => {
      signals.push(stop);
      return new Promise((resolve) => stop.addEventListener('abort', () => resolve(true)));
    };
    const worker = workerOver(new FakeMachines(), run);
    await worker.onApplicationBootstrap();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false]);
    await worker.onModuleDestroy();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true]);
  });
});
