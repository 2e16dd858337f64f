import { randomUUID } from 'node:crypto';
import { Module, type DynamicModule } from '@nestjs/common';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import { ControlModule } from '../../control/index.js';
import { addRelease, Bench } from '../../control/testing/bench.js';
import { KernelGroupsModule } from '../../kernels/groups/index.js';
import { KernelsApiModule, KernelsModule } from '../../kernels/index.js';
import { compileCore } from '../../kernels/testing/core-object.js';
import { ReleaseCatalogueModule } from '../../releases/catalogue/index.js';
import { LabFiles } from '../kernels/lab-files.js';
import { LabKernels } from '../kernels/lab-kernels.js';
import { LabList } from '../kernels/lab-list.js';
import { LabMachines } from '../machine/lab-machines.js';
import { LabParamsModule } from '../params/index.js';
import { LabQueue } from '../queue/lab-queue.js';
import { ReleaseKernels } from '../release-kernels.js';
import { KernelIntroduction } from '../session/kernel-introduction.js';
import { LabSession } from '../session/lab-session.js';
import { ProofOrders } from '../session/proof-order.js';

@Module({})
class LabTestModule {
  static over(machines: LabMachines): DynamicModule {
    return {
      module: LabTestModule,
      imports: [KernelsModule, KernelGroupsModule, ReleaseCatalogueModule, LabParamsModule],
      providers: [
        { provide: LabMachines, useValue: machines },
        ...[LabQueue, LabSession, KernelIntroduction, ProofOrders, LabFiles, LabKernels, LabList, ReleaseKernels],
      ],
    };
  }
}

/** The lab over a real Postgres, with VMs of the test's choice; a test says when it works. */
export class LabBench<M extends LabMachines> {
  private releases = 0;

  private constructor(
    readonly bench: Bench,
    readonly machines: M,
    private readonly database: TestDatabase,
  ) {}

  static async start<M extends LabMachines>(
    machines: M,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<LabBench<M>> {
    const database = await createTestDatabase();
    const modules = [ControlModule, KernelsApiModule, LabTestModule.over(machines)];
    return new LabBench(await Bench.start({ databaseUrl: database.url, modules, environment }), machines, database);
  }

  get queue(): LabQueue {
    return this.bench.get(LabQueue);
  }

  get kernels(): LabKernels {
    return this.bench.get(LabKernels);
  }

  get files(): LabFiles {
    return this.bench.get(LabFiles);
  }

  /** One boot by one server. */
  run(holder = 'one', stop = new AbortController().signal): Promise<boolean> {
    return this.bench.get(LabSession).run(holder, stop);
  }

  /** Boots until nothing is left to do; returns how many it took. */
  async settle(boots = 20): Promise<number> {
    for (let at = 0; at < boots; at++) if (!(await this.run())) return at;
    throw new Error(`the lab still had something to do after ${boots} boots`);
  }

  addKernel(name: string): Promise<string> {
    return this.kernels.add('kari', { name, suite: 'trixie', arch: 'arm64', kernelArgs: [] });
  }

  /** A signed release of a probe of its own, with an object that no other has. */
  async publish(source?: string, extra = ''): Promise<{ id: string; object: Buffer }> {
    const number = ++this.releases;
    const object = compileCore(source ?? `SEC("raw_tp/x") int p(void *c) { return ${number}; }`);
    const { id } = await addRelease(this.bench, { probe: `lab_probe_${number}`, object, extra });
    this.bench.clock.advance(1);
    return { id, object };
  }

  /** Active, and later than those before. */
  async assign(releaseId: string, params: Record<string, number>): Promise<string> {
    const what = {
      releaseId,
      probe: 'p',
      selector: 'all',
      params,
      createdBy: 'kari',
      createdAt: this.bench.clock.now(),
    };
    const { id } = await this.bench.prisma.assignment.create({ data: { id: randomUUID(), ...what } });
    this.bench.clock.advance(1);
    return id;
  }

  async clear(): Promise<void> {
    await this.bench.prisma.assignment.deleteMany();
    await this.bench.prisma.labKernel.deleteMany();
    await this.bench.prisma.release.deleteMany();
    await this.bench.prisma.kernelGroup.deleteMany();
    await this.bench.prisma.kernelBuild.deleteMany();
    await this.bench.prisma.kernelBtf.deleteMany();
  }

  async stop(): Promise<void> {
    await this.bench.stop();
    await this.database.drop();
  }
}
