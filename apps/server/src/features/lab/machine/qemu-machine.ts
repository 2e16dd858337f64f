import type { RunningVm } from '@bpfleet/vm';
import { parseVerifierAnswer, type VerifierReport } from '../../../verify/index.js';
import type { LabMachine, MeasuredKernel, ProofOrder } from './lab-machines.js';
import type { Measured } from './measured-kernel.js';
import { VERIFIER_COMMAND } from './verifier-install.js';
import { machineErrorOf } from './vm-failures.js';

const REPORT_BYTES_MAX = 16 * 1024 * 1024;
const OUTPUT_CHARS_MAX = 4_096;
// What a load leaves behind is freed after a grace period, in which a kernel that was hurt may still go down.
const SETTLE = ['sh', '-c', 'sync; sleep 0.2'];
const SETTLE_TIMEOUT_MS = 30_000;

/** A VM that runs the verifier, a process for each object. */
export class QemuMachine implements LabMachine {
  readonly kernel: MeasuredKernel;
  readonly btf: Buffer | undefined;

  constructor(
    private readonly vm: RunningVm,
    { kernel, btf }: Measured,
  ) {
    this.kernel = kernel;
    this.btf = btf;
  }

  get bootMs(): number {
    return this.vm.bootMs;
  }

  async prove(order: ProofOrder, timeoutMs: number, signal: AbortSignal): Promise<VerifierReport> {
    const { object, globals, btf } = order;
    const request = {
      objectBase64: object.toString('base64'),
      globals: Object.fromEntries([...globals].map(([name, image]) => [name, Buffer.from(image).toString('base64')])),
      ...(btf === undefined ? {} : { btfBase64: btf.toString('base64') }),
    };
    try {
      const input = Buffer.from(JSON.stringify(request));
      const ended = await this.vm.exec(VERIFIER_COMMAND, {
        input,
        timeoutMs,
        signal,
        outputBytesMax: REPORT_BYTES_MAX,
      });
      await this.vm.exec(SETTLE, { timeoutMs: SETTLE_TIMEOUT_MS, signal });
      return parseVerifierAnswer(ended, ended.stderr.toString('utf8').slice(-OUTPUT_CHARS_MAX));
    } catch (error) {
      throw machineErrorOf(error, 'prove', { ownImage: false, signal });
    }
  }

  stop(): Promise<void> {
    return this.vm.stop();
  }
}
