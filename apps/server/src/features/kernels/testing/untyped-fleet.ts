import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import type { Facts } from '@bpfleet/wire';
import { AssignmentsApiModule } from '../../assignments/index.js';
import { ControlModule } from '../../control/index.js';
import { addDevice, addRelease, Bench, benchFacts } from '../../control/testing/bench.js';
import { birth } from '../../control/testing/steps.js';
import { DebugApiModule } from '../../debug/index.js';
import { KernelBuilds } from '../btf/kernel-builds.js';
import { KernelsApiModule } from '../index.js';
import { compileCore } from './core-object.js';
import { foreignBtf } from './kernel-btf.js';

/** Of the kernel of `untyped`. */
export const UNTYPED_BUILD = 'a1'.repeat(20);
/** A 32-bit device whose kernel shows no BTF, and whose agent takes one that is made for it. */
export const untyped: Facts = {
  ...benchFacts,
  kernelArch: 'arm',
  userBits: 32,
  kernelRelease: '6.1.0-50-armmp',
  kernelBuildId: UNTYPED_BUILD,
  btfDigest: null,
  understands: ['addendum'],
};

/** A server, over a real Postgres, with devices that are to run what may need types that they do not show. */
export class UntypedFleet {
  private releases = 0;
  private connections = 0;

  private constructor(
    readonly bench: Bench,
    private readonly database: TestDatabase,
    private readonly objects: ReadonlyMap<string, Buffer>,
  ) {}

  /** `sources`: the C of what is to be published, each compiled once (compileCore). */
  static async start(sources: readonly string[]): Promise<UntypedFleet> {
    const objects = new Map(sources.map((source) => [source, compileCore(source)]));
    const database = await createTestDatabase();
    const modules = [ControlModule, AssignmentsApiModule, DebugApiModule, KernelsApiModule];
    const bench = await Bench.start({ databaseUrl: database.url, modules });
    bench.link.connect();
    return new UntypedFleet(bench, database, objects);
  }

  async stop(): Promise<void> {
    await this.bench.stop();
    await this.database.drop();
  }

  /** No device, no types, and nothing that a new device would be asked to run. */
  async clear(): Promise<void> {
    const { prisma } = this.bench;
    await prisma.assignment.updateMany({ data: { state: 'withdrawn' } });
    await prisma.kernelBuild.deleteMany();
    await prisma.kernelBtf.deleteMany();
    await prisma.device.deleteMany();
  }

  /** What an administrator gives for the build of `untyped`: its own types unless told. */
  addBtf(bytes = foreignBtf('armhf-6.1'), arch: 'arm' | 'arm64' = 'arm', replace = false) {
    return this.bench.get(KernelBuilds).add('kari', { bytes, buildId: UNTYPED_BUILD, arch, replace });
  }

  publish(source: string) {
    const object = this.objects.get(source);
    if (!object) throw new Error(`not among the sources: ${source}`);
    return addRelease(this.bench, { probe: `untyped_${this.releases++}`, object });
  }

  async born(facts: Facts = untyped): Promise<string> {
    const device = await addDevice(this.bench);
    await this.birth(device, facts);
    return device;
  }

  /** It tells its kernel, also for the second time. */
  async birth(device: string, facts: Facts = untyped): Promise<void> {
    await birth(this.bench, device, ++this.connections, { facts });
  }
}
