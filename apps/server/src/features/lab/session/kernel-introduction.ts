import { Injectable, Logger } from '@nestjs/common';
import type { KernelFeatures } from '@bpfleet/probe';
import { digestOf } from '@bpfleet/trust';
import type { Facts } from '@bpfleet/wire';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { DomainError } from '../../../platform/errors.js';
import { KernelBtfError, readKernelBtf } from '../../../verify/index.js';
import { KernelBtfs, KernelBuilds } from '../../kernels/index.js';
import type { LabMachine } from '../machine/lab-machines.js';
import type { ClaimedKernel } from '../queue/lab-queue.js';

/** Makes a kernel that has come up known to the rest of the server: what it is, and its types. */
@Injectable()
export class KernelIntroduction {
  private readonly log = new Logger('KernelIntroduction');

  constructor(
    private readonly btfs: KernelBtfs,
    private readonly builds: KernelBuilds,
    private readonly blobs: BlobStore,
  ) {}

  /**
   * What a device with this kernel would say of itself. Its own BTF, else the one that was given for it, becomes that of its
   * build, on the word of the administrator who put the kernel into the lab. Throws DomainError when that does not fit the kernel.
   */
  async introduce(kernel: ClaimedKernel, machine: LabMachine, features: KernelFeatures): Promise<Facts> {
    const facts = factsOf(kernel, machine, features);
    const bytes = machine.btf ?? (await this.given(kernel));
    if (bytes === undefined) return facts;
    if (machine.btf !== undefined && !(await this.keep(kernel, machine.btf))) return facts;
    const { kernelBuildId: buildId, kernelRelease: release, kernelArch: arch } = facts;
    if (buildId === null || buildId === '') return facts;
    try {
      await this.builds.add(kernel.createdBy, { bytes, buildId, release, arch, replace: false });
    } catch (error) {
      // An administrator gave the build another before: that one stands until it is replaced on purpose.
      if (!(error instanceof DomainError) || error.code !== 'BTF_BUILD_TAKEN') throw error;
      this.log.warn(`${kernel.name}: ${error.message}`);
    }
    return facts;
  }

  /** False when this server cannot read it: the kernel proves by it all the same. */
  private async keep(kernel: ClaimedKernel, bytes: Buffer): Promise<boolean> {
    try {
      const { pointerBits } = readKernelBtf(bytes);
      return await this.btfs.add({
        digest: digestOf(bytes),
        bytes,
        pointerBits,
        source: 'admin',
        addedBy: kernel.createdBy,
      });
    } catch (error) {
      if (!(error instanceof KernelBtfError)) throw error;
      this.log.warn(`the BTF that ${kernel.name} shows is not kept: ${error.message}`);
      return false;
    }
  }

  private async given(kernel: ClaimedKernel): Promise<Buffer | undefined> {
    return kernel.btfDigest === null ? undefined : this.blobs.get(kernel.btfDigest);
  }
}

/** As far as they decide a verdict they are measured; the lab has no device to tell the rest. */
function factsOf(kernel: ClaimedKernel, machine: LabMachine, { features, lacks }: KernelFeatures): Facts {
  return {
    hostname: kernel.name,
    machine: null,
    distribution: null,
    ...machine.kernel,
    btfDigest: machine.btf === undefined ? null : digestOf(machine.btf),
    cpus: 1,
    memoryBytes: 0,
    features: [...features],
    lacks: [...lacks],
    agentVersion: '',
    understands: ['addendum'],
  };
}
