import type { KernelFeatures } from '@bpfleet/probe';
import type { Facts } from '@bpfleet/wire';
import type { VerifierReport } from '../../../verify/index.js';

/** What decides a verdict, as it was measured in the VM the way an agent measures it. */
export type MeasuredKernel = Pick<
  Facts,
  'kernelRelease' | 'kernelArch' | 'kernelBuildId' | 'userBits' | 'jit' | 'lsm' | 'pageBytes'
>;

/** A kernel of somebody's own, as it was uploaded. */
export interface OwnKernel {
  readonly image: Buffer;
  /** Its build configuration. */
  readonly config: Buffer | undefined;
  /** In the order in which they are loaded. */
  readonly modules: readonly { readonly name: string; readonly bytes: Buffer }[];
}

export interface MachineOrder {
  /** Of libs/vm. */
  readonly target: string;
  /** A kernel to boot in the place of the target's. */
  readonly own: OwnKernel | undefined;
  readonly kernelArgs: readonly string[];
  /** Value for net.core.bpf_jit_enable; null leaves it as the kernel has it. */
  readonly jit: number | null;
}

/** What the verifier is asked, once for each object. */
export interface ProofOrder {
  readonly object: Buffer;
  /** Images of data sections by name. */
  readonly globals: ReadonlyMap<string, Uint8Array>;
  /** For kernels that show no types. */
  readonly btf: Buffer | undefined;
}

export type MachineFailure =
  /** The kernel did not come up, or not as it was ordered. */
  | 'boot'
  /** What the VM is made of cannot be had, or the order makes no sense: trying again changes nothing. */
  | 'order'
  /** The kernel went down. */
  | 'crash'
  /** No verdict in time. The machine must not be used any more. */
  | 'timeout'
  /** The verifier cannot make sense of the object. */
  | 'object'
  /** QEMU or the verifier broke down, which says nothing about any object. */
  | 'lost'
  /** It was to stop. */
  | 'stopped';

export class MachineError extends Error {
  override readonly name = 'MachineError';
  constructor(
    readonly failure: MachineFailure,
    /** One sentence. */
    message: string,
    /** The last lines of the console, where it may say more. */
    readonly console: readonly string[] = [],
  ) {
    super(message);
  }
}

/** A VM that is up. Whoever started it stops it. */
export interface LabMachine {
  readonly kernel: MeasuredKernel;
  /** The BTF that the kernel shows. */
  readonly btf: Buffer | undefined;
  readonly bootMs: number;
  /** What the kernel can do, as an agent would find out. @throws MachineError crash, timeout, lost, stopped */
  features(timeoutMs: number, signal: AbortSignal): Promise<KernelFeatures>;
  /** @throws MachineError crash, timeout, object, lost, stopped */
  prove(order: ProofOrder, timeoutMs: number, signal: AbortSignal): Promise<VerifierReport>;
  /** Idempotent; nothing of the VM is left when it returns. */
  stop(): Promise<void>;
}

/** Where the lab gets its VMs from. */
export abstract class LabMachines {
  /** A sentence about what this host lacks to run VMs; undefined when it can. */
  abstract missing(): Promise<string | undefined>;
  /** @throws MachineError boot, order, lost, stopped; nothing is left running then */
  abstract start(order: MachineOrder, timeoutMs: number, signal: AbortSignal): Promise<LabMachine>;
}
