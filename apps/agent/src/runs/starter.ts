import type { DesiredEntry, ReleaseDocument } from '@bpfleet/trust';
import type { Facts, ReportedRunState } from '@bpfleet/wire';
import { AgentError } from '../agent-error.js';
import type { BootPoint } from '../core/lease.js';
import type { RunRecord } from '../core/run-record.js';
import type { Kernel, KernelRun } from '../kernel/port.js';
import type { Fetcher } from '../link/fetcher.js';
import { RunTelemetry } from '../telemetry/run-telemetry.js';
import type { TrustKeeper } from '../trust/trust-keeper.js';
import { requireFeatures, requireTestedKernel } from './kernel-gate.js';
import { KernelTypes, type KernelTypesOptions } from './kernel-types.js';
import { objectFor, planRelease, requireRoomBeside, type ReleaseObject, type ReleasePlan } from './release-plan.js';
import type { LiveRun, RunSlot } from './run-slot.js';
import type { RunStarter } from './supervisor.js';

export interface StarterOptions extends KernelTypesOptions {
  readonly trust: TrustKeeper;
  readonly fetcher: Fetcher;
  readonly kernel: Kernel;
  readonly facts: Facts;
  readonly now: () => BootPoint;
  readonly monotonicMs: () => number;
  /** What the maps of all other runs take that are in the kernel now. */
  readonly mapBytesBeside: (run: string) => number;
  /** Persists a run's next state, then tells the server. */
  readonly move: (slot: RunSlot, state: ReportedRunState, change?: Partial<RunRecord>) => void;
}

/** The way of one release into the kernel, each step walked once and on the disk before it is taken. */
export class Starter implements RunStarter {
  private readonly types: KernelTypes;

  constructor(private readonly options: StarterOptions) {
    this.types = new KernelTypes(options);
  }

  /** @throws AgentError, TrustError; then nothing of the run is in the kernel */
  async start(slot: RunSlot, entry: DesiredEntry): Promise<void> {
    const { move, kernel, now, facts } = this.options;
    requireTestedKernel(facts.kernelRelease);
    const signal = slot.abort.signal;
    const release = await this.release(slot, entry.release, signal);
    const named = objectFor(release, facts.kernelArch);
    const object = await this.object(slot, named, signal);
    const tailored = await this.types.tailored(entry, named.digest, signal);
    move(slot, 'VERIFYING');
    const plan = planRelease(release, object, entry, this.machine);
    requireFeatures(plan.features, facts.lacks);
    if (signal.aborted) throw new AgentError('ABORTED', 'not wanted any more');
    const btfPath = this.types.pathFor(plan.typeNeeds, tailored);
    // From here on nothing waits, so that two that start at once do not both see room for one.
    requireRoomBeside(this.options.mapBytesBeside(slot.run), plan.mapBytes, facts.memoryBytes);
    const { name, globals } = plan;
    const loaded = kernel.load({ run: slot.run, name, object, globals, ...(btfPath === undefined ? {} : { btfPath }) });
    try {
      move(slot, 'LOADED', { inKernel: loaded.ids });
      loaded.attach(plan.attachOptionsOf);
      slot.live = this.liveRun(slot, plan, loaded);
      const firstAttach = slot.record.firstAttach ?? now();
      move(slot, 'ATTACHED', { inKernel: loaded.ids, firstAttach, attempts: 0, adopted: false });
    } catch (error) {
      slot.live = undefined;
      loaded.close({ unpin: true });
      throw error;
    }
  }

  /** The run as an earlier agent left it; false when it cannot be taken over whole. Needs nothing from the server. */
  adopt(slot: RunSlot): boolean {
    const { trust, kernel, facts } = this.options;
    const { entry, inKernel } = slot.record;
    if (slot.record.state !== 'ATTACHED' || !inKernel) return false;
    let plan: ReleasePlan;
    try {
      const release = trust.storedRelease(entry.release);
      const object = release && objectFor(release, facts.kernelArch);
      const bytes = object && trust.storedBlob(object.digest, object.bytes);
      if (!release || !bytes) return false;
      plan = planRelease(release, bytes, entry, this.machine);
    } catch {
      return false;
    }
    const adopted = kernel.adopt(slot.run, inKernel);
    if (!adopted) return false;
    slot.live = this.liveRun(slot, plan, adopted);
    return true;
  }

  private get machine() {
    const { pageBytes, memoryBytes, kernelArch, userBits } = this.options.facts;
    return { cpus: this.options.kernel.cpus, pageBytes, memoryBytes, kernelArch, userBits };
  }

  private liveRun(slot: RunSlot, plan: ReleasePlan, kernel: KernelRun): LiveRun {
    const { entry, counters } = slot.record;
    const telemetry = new RunTelemetry({
      run: slot.run,
      release: entry.release,
      plan: plan.telemetry,
      kernel,
      earlier: counters,
      eventsPerSecond: entry.budget.eventsPerSecond,
      nowSeconds: this.options.monotonicMs() / 1000,
      wantsInterfaces: plan.wantsInterfaces,
    });
    const since = this.options.now();
    return { kernel, plan, telemetry, since, fuse: { runTimeNs: 0n, atSeconds: since.seconds, windowsOver: 0 } };
  }

  private async release(slot: RunSlot, digest: string, signal: AbortSignal): Promise<ReleaseDocument> {
    const { trust, fetcher, move } = this.options;
    const stored = trust.storedRelease(digest);
    if (stored) return stored;
    move(slot, 'FETCHING');
    return trust.takeRelease(digest, await fetcher.document({ v: 1, kind: 'release', digest }, signal));
  }

  private async object(slot: RunSlot, { digest, bytes }: ReleaseObject, signal: AbortSignal): Promise<Buffer> {
    const { trust, fetcher, move } = this.options;
    const stored = trust.storedBlob(digest, bytes);
    if (stored) return stored;
    if (slot.record.state !== 'FETCHING') move(slot, 'FETCHING');
    return trust.takeBlob(digest, await fetcher.blob(digest, bytes, signal));
  }
}
