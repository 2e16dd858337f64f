import { kernelFeatures, type KernelFeatures } from '@bpfleet/probe';
import type { RunningVm } from '@bpfleet/vm';
import type { VerifierReport } from '../../../verify/index.js';
import { GuestVerifier } from './guest-verifier.js';
import type { LabMachine, MeasuredKernel, ProofOrder } from './lab-machines.js';
import type { Measured } from './measured-kernel.js';
import { machineErrorOf } from './vm-failures.js';

/** A VM that runs the verifier. */
export class QemuMachine implements LabMachine {
  readonly kernel: MeasuredKernel;
  readonly btf: Buffer | undefined;
  private readonly verifier: GuestVerifier;

  constructor(
    private readonly vm: RunningVm,
    { kernel, btf }: Measured,
  ) {
    this.kernel = kernel;
    this.btf = btf;
    this.verifier = new GuestVerifier(vm);
    // It comes up while this side reads the kernel's types.
    this.verifier.start();
  }

  get bootMs(): number {
    return this.vm.bootMs;
  }

  async features(timeoutMs: number, signal: AbortSignal): Promise<KernelFeatures> {
    try {
      return kernelFeatures((await this.verifier.features(timeoutMs, signal)).kernelCan);
    } catch (error) {
      throw machineErrorOf(error, 'prove', { ownImage: false, signal });
    }
  }

  async prove(order: ProofOrder, timeoutMs: number, signal: AbortSignal): Promise<VerifierReport> {
    const { object, globals, btf } = order;
    const request = {
      objectBase64: object.toString('base64'),
      globals: Object.fromEntries([...globals].map(([name, image]) => [name, Buffer.from(image).toString('base64')])),
      ...(btf === undefined ? {} : { btfBase64: btf.toString('base64') }),
    };
    try {
      return await this.verifier.ask(request, timeoutMs, signal);
    } catch (error) {
      throw machineErrorOf(error, 'prove', { ownImage: false, signal });
    }
  }

  stop(): Promise<void> {
    return this.vm.stop();
  }
}
