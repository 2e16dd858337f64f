import { Injectable, Logger } from '@nestjs/common';
import type { Btf } from '@bpfleet/btf';
import type { Facts } from '@bpfleet/wire';
import { Config } from '../../../config/config.js';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { DomainError } from '../../../platform/errors.js';
import { hasTypeIn, KernelBtfError } from '../../../verify/index.js';
import { KernelBtfs, KernelVerdicts } from '../../kernels/index.js';
import type { KernelGroup } from '../../kernels/groups/index.js';
import { ReleaseCatalogue } from '../../releases/catalogue/index.js';
import {
  LabMachines,
  MachineError,
  type LabMachine,
  type MachineOrder,
  type OwnKernel,
} from '../machine/lab-machines.js';
import { LabParams } from '../params/index.js';
import { LabQueue, LEASE_MS, type BootFailure, type ClaimedKernel, type LabJob } from '../queue/lab-queue.js';
import { KernelIntroduction } from './kernel-introduction.js';
import { LeaseKeeper } from './lease-keeper.js';
import { ProofOrders } from './proof-order.js';
import { crashVerdict, refusal, timeoutVerdict, verdictOfReport, type LabVerdict } from './verdict-of-report.js';

/** After so many the kernel is booted anew: what one leaves behind must not meet too many others. */
const PROOFS_PER_BOOT_MAX = 50;

/** A boot under way: which kernel, by whose lease, and what was loaded into it so far. */
interface Boot {
  readonly kernel: ClaimedKernel;
  readonly holder: string;
  readonly machine: LabMachine;
  readonly facts: Facts;
  readonly group: KernelGroup;
  readonly signal: AbortSignal;
  readonly touched: LabJob[];
}

/** One boot of one kernel of the lab, from its claim to its end: it proves what waits for that kernel. */
@Injectable()
export class LabSession {
  private readonly log = new Logger('LabSession');

  constructor(
    private readonly queue: LabQueue,
    private readonly machines: LabMachines,
    private readonly introduction: KernelIntroduction,
    private readonly orders: ProofOrders,
    private readonly releases: ReleaseCatalogue,
    private readonly verdicts: KernelVerdicts,
    private readonly blobs: BlobStore,
    private readonly config: Config,
    private readonly params: LabParams,
    private readonly btfs: KernelBtfs,
  ) {}

  /** False when there was nothing to do. Returns when the VM is gone and its lease given back, also when `stop` ends it early. */
  async run(holder: string, stop: AbortSignal): Promise<boolean> {
    await this.fill();
    const kernel = stop.aborted ? undefined : await this.queue.claim(holder);
    if (!kernel) return false;
    const lease = new LeaseKeeper(() => this.queue.renew(kernel.id, holder), LEASE_MS / 3);
    try {
      await this.boot(kernel, holder, AbortSignal.any([stop, lease.lost]));
    } finally {
      lease.stop();
      await this.queue.release(kernel.id, holder);
    }
    return true;
  }

  private async fill(): Promise<void> {
    await this.params.refresh();
    await this.queue.fill();
  }

  private async boot(kernel: ClaimedKernel, holder: string, signal: AbortSignal): Promise<void> {
    let machine: LabMachine | undefined;
    try {
      machine = await this.machines.start(await this.orderOf(kernel), this.config.labBootTimeoutMs, signal);
      const features = await machine.features(this.config.labProveTimeoutMs, signal);
      const facts = await this.introduction.introduce(kernel, machine, features);
      const group = await this.queue.booted(kernel, holder, facts, machine.bootMs);
      if (group === 'lost') return;
      if (!group) throw new MachineError('boot', 'there is no room for its kernel group: too many are in use');
      await this.fill();
      await this.proveWaiting({ kernel, holder, machine, facts, group, signal, touched: [] });
    } catch (error) {
      if (error instanceof MachineError && error.failure === 'stopped') return;
      const failure = bootFailureOf(error as Error);
      this.log.warn(`${kernel.name}: ${failure.reason}`);
      await this.queue.bootFailed(kernel, holder, failure);
    } finally {
      await machine?.stop();
    }
  }

  private async orderOf(kernel: ClaimedKernel): Promise<MachineOrder> {
    const { target, kernelArgs, jit, imageDigest } = kernel;
    return { target, kernelArgs, jit, own: imageDigest === null ? undefined : await this.ownOf(kernel, imageDigest) };
  }

  private async ownOf({ configDigest, modules }: ClaimedKernel, imageDigest: string): Promise<OwnKernel> {
    const read = async (digest: string): Promise<Buffer> => {
      const bytes = await this.blobs.get(digest);
      if (!bytes) throw new MachineError('order', 'a file that it is made of is not in the store any more');
      return bytes;
    };
    return {
      image: await read(imageDigest),
      config: configDigest === null ? undefined : await read(configDigest),
      modules: await Promise.all(modules.map(async ({ name, digest }) => ({ name, bytes: await read(digest) }))),
    };
  }

  private async proveWaiting(boot: Boot): Promise<void> {
    const { kernel, holder, touched, signal } = boot;
    while (!signal.aborted && touched.length < PROOFS_PER_BOOT_MAX) {
      const job = await this.queue.next(kernel.id, holder, { shared: touched.length > 0 });
      if (!job) return;
      touched.push(job);
      if (!(await this.prove(boot, job)) || job.alone) return;
    }
  }

  /** False when the machine is not to be used any more. */
  private async prove(boot: Boot, job: LabJob): Promise<boolean> {
    const release = await this.releases.find(job.releaseId);
    if (!release) return true;
    const params = await this.params.of(job.releaseId, boot.facts.kernelArch, job.globals);
    try {
      if (!params) {
        await this.queue.drop(job, boot.kernel.id, boot.holder);
        return true;
      }
      const prepared = await this.orders.prepare(release, boot.facts, params);
      if ('verdict' in prepared) return await this.record(boot, job, prepared.verdict);
      const report = await boot.machine.prove(prepared.order, this.config.labProveTimeoutMs, boot.signal);
      // What was accepted needs nobody to tell what its refusal is worth.
      const types = report.verdict === 'accepted' ? undefined : await this.typesOf(boot.facts);
      const kernel = { lacks: boot.facts.lacks ?? [], hasType: types && hasTypeIn(types) };
      return await this.record(boot, job, verdictOfReport(report, prepared.order.object, kernel));
    } catch (error) {
      if (error instanceof MachineError) return this.notProven(boot, job, error);
      this.log.warn(`${boot.kernel.name}: ${(error as Error).message}`);
      await this.queue.again(job, boot.kernel.id, boot.holder, (error as Error).message);
      return false;
    }
  }

  private async typesOf({ btfDigest }: Facts): Promise<Btf | undefined> {
    try {
      return btfDigest === null ? undefined : (await this.btfs.types(btfDigest))?.btf;
    } catch (error) {
      if (error instanceof KernelBtfError) return undefined;
      throw error;
    }
  }

  /** What is on record about a group stays true when the lease is lost meanwhile: the kernel has said it. */
  private async record({ kernel, holder, group }: Boot, job: LabJob, found: LabVerdict): Promise<true> {
    const { verdict, reasons, facts } = found;
    await this.verdicts.record({
      releaseId: job.releaseId,
      kernelGroupId: group.id,
      stage: 'prove',
      globals: job.globals,
      verdict,
      reasons,
      facts: { ...facts, lab: kernel.name },
      btfDigest: job.source,
    });
    await this.queue.done(job, kernel.id, holder);
    return true;
  }

  private async notProven(boot: Boot, job: LabJob, error: MachineError): Promise<boolean> {
    const { kernel, holder, touched } = boot;
    // Only where nothing else was loaded is it certain whose fault it was: a kernel may go down of what came before.
    const solo = touched.length === 1;
    switch (error.failure) {
      case 'object':
        return this.record(boot, job, refusal('object', `libbpf cannot open the object: ${error.message}.`));
      case 'crash':
        if (solo) await this.record(boot, job, crashVerdict(error.message, error.console));
        else await this.queue.separate(kernel.id, holder, touched);
        return false;
      case 'timeout':
        if (solo) await this.record(boot, job, timeoutVerdict(this.config.labProveTimeoutMs));
        else await this.queue.setAside(job, kernel.id, holder);
        return false;
      case 'stopped':
        return false;
      default:
        await this.queue.again(job, kernel.id, holder, error.message);
        return false;
    }
  }
}

/** What nobody foresaw is tried again as well, and not without end. */
function bootFailureOf(error: Error): BootFailure {
  if (error instanceof MachineError) {
    return { reason: error.message, console: error.console, final: error.failure === 'order' };
  }
  return { reason: error.message, console: [], final: error instanceof DomainError };
}
