import type { KernelFeatures } from '@bpfleet/probe';
import { digestOf } from '@bpfleet/trust';
import type { VerifierReport } from '../../../verify/index.js';
import {
  LabMachines,
  MachineError,
  type LabMachine,
  type MachineOrder,
  type MeasuredKernel,
  type ProofOrder,
} from '../machine/lab-machines.js';

export type FakeAnswer = 'accept' | 'refuse' | 'crash' | 'hang' | 'object' | 'lost' | 'break';

export interface FakeProof {
  readonly boot: number;
  readonly object: string;
  readonly btf: string | undefined;
  /** Images of data sections by name, in hexadecimal. */
  readonly globals: Readonly<Record<string, string>>;
}

export const FAKE_KERNEL: MeasuredKernel = {
  kernelRelease: '6.12.1-fake-arm64',
  kernelArch: 'arm64',
  kernelBuildId: 'fa'.repeat(20),
  userBits: 64,
  jit: 'on',
  lsm: ['lockdown'],
  pageBytes: 4096,
};

/** VMs without a kernel: what they say of an object is what a test told them to. */
export class FakeMachines extends LabMachines {
  readonly orders: MachineOrder[] = [];
  /** How long each boot and each proof was given. */
  readonly timeoutsMs: { boot: number[]; proof: number[] } = { boot: [], proof: [] };
  readonly proofs: FakeProof[] = [];
  /** Started and not stopped. */
  running = 0;
  runningMax = 0;
  lacking: string | undefined;
  kernel: MeasuredKernel = FAKE_KERNEL;
  btf: Buffer | undefined;
  features: KernelFeatures = { features: ['hash', 'ringbuf'], lacks: ['kprobe_multi'] };
  /** The next boots fail with these, one after the other. */
  readonly bootFailures: MachineError[] = [];
  private readonly answers = new Map<string, FakeAnswer>();
  /** Called when an object is put before a kernel, before it answers. */
  onProof: (proof: FakeProof) => Promise<void> | void = () => undefined;
  onStart: () => Promise<void> | void = () => undefined;

  answer(object: Buffer, answer: FakeAnswer): void {
    this.answers.set(digestOf(object), answer);
  }

  answerTo(object: Buffer): FakeAnswer {
    return this.answers.get(digestOf(object)) ?? 'accept';
  }

  missing(): Promise<string | undefined> {
    return Promise.resolve(this.lacking);
  }

  async start(order: MachineOrder, timeoutMs: number, signal: AbortSignal): Promise<LabMachine> {
    this.orders.push(order);
    this.timeoutsMs.boot.push(timeoutMs);
    await this.onStart();
    if (signal.aborted) throw new MachineError('stopped', 'it was to stop');
    const failure = this.bootFailures.shift();
    if (failure) throw failure;
    this.running += 1;
    this.runningMax = Math.max(this.runningMax, this.running);
    return new FakeMachine(this, this.orders.length);
  }
}

export class FakeMachine implements LabMachine {
  readonly bootMs = 1_234;
  readonly kernel: MeasuredKernel;
  readonly btf: Buffer | undefined;
  /** How often the process that judges was started. */
  verifiers = 1;
  private gone = false;
  private down = false;

  constructor(
    private readonly machines: FakeMachines,
    private readonly boot: number,
  ) {
    this.kernel = machines.kernel;
    this.btf = machines.btf;
  }

  features(): Promise<KernelFeatures> {
    return Promise.resolve(this.machines.features);
  }

  async prove({ object, btf, globals }: ProofOrder, timeoutMs: number, signal: AbortSignal): Promise<VerifierReport> {
    if (this.gone || this.down) throw new MachineError('lost', 'the VM has ended');
    const images = [...globals].map(([name, image]) => [name, Buffer.from(image).toString('hex')]);
    const proof = { boot: this.boot, object: digestOf(object), globals: Object.fromEntries(images) };
    const whole = { ...proof, btf: btf === undefined ? undefined : digestOf(btf) };
    this.machines.proofs.push(whole);
    this.machines.timeoutsMs.proof.push(timeoutMs);
    await this.machines.onProof(whole);
    if (signal.aborted) throw new MachineError('stopped', 'it was to stop');
    const answer = this.machines.answerTo(object);
    if (answer === 'accept' || answer === 'refuse') return fakeReport(answer);
    if (answer === 'break') this.verifiers += 1;
    this.down = answer !== 'object' && answer !== 'break';
    throw FAILURES[answer](timeoutMs);
  }

  stop(): Promise<void> {
    if (!this.gone) this.machines.running -= 1;
    this.gone = true;
    return Promise.resolve();
  }
}

const FAILURES: Readonly<Record<Exclude<FakeAnswer, 'accept' | 'refuse'>, (timeoutMs: number) => MachineError>> = {
  crash: () =>
    new MachineError('crash', 'the kernel panicked: Oops', ['[1.0] Oops', 'Kernel panic - not syncing: Oops']),
  hang: (timeoutMs) => new MachineError('timeout', `no verdict in ${timeoutMs} ms`),
  object: () => new MachineError('object', 'the BTF is damaged'),
  lost: () => new MachineError('lost', 'QEMU has ended'),
  break: () => new MachineError('lost', 'the verifier broke down (SIGSEGV)'),
};

function fakeReport(answer: 'accept' | 'refuse'): VerifierReport {
  const kernel = { release: '6.12.1', arch: 'aarch64', buildId: null, btf: true, jit: '1', lsm: null };
  const program = { name: 'p', section: 'raw_tp/x', type: 'raw_tracepoint', instructionCount: 4 };
  if (answer === 'accept') {
    const loaded = { verifiedInstructions: 40, stackDepthBytes: 16, jitedBytes: 200 };
    const programs = [{ ...program, verdict: 'accepted' as const, ...loaded }];
    return { kernel, verdict: 'accepted', loadMs: 2.5, programs, maps: [{ name: 'm', type: 'array', bytes: 4096 }] };
  }
  const log = '0: (85) call bpf_loop#181\ncallbacks are not allowed in non-JITed programs\nprocessed 1 insns';
  const programs = [{ ...program, verdict: 'refused' as const, errno: 22, errnoName: 'EINVAL', log }];
  return { kernel, verdict: 'refused', loadMs: 1, programs, maps: [] };
}
