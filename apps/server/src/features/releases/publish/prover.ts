import { Injectable } from '@nestjs/common';
import type { User, Verdict } from '@bpfleet/api';
import { globalImages, resolveParams, type ProbeManifest } from '@bpfleet/probe';
import { Config } from '../../../config/config.js';
import { Clock } from '../../../platform/clock.js';
import {
  explainReport,
  JailError,
  programVerdicts,
  ProveError,
  reportWord,
  type AskedKernel,
  type VerifierReport,
} from '../../../verify/index.js';
import type { CheckedObject } from './check-objects.js';
import { archOfMachine, hostArch } from './host-arch.js';
import { refusal } from './refusal.js';
import { VerifyTools } from './verify-tools.js';

const ONLY_RESOLVED =
  'so until the kernel lab has proven it, what is claimed of kernels is only what their types say (BPFLEET_PROVE_ON_HOST)';
const UNTRUSTED = {
  nobody: `this server's own kernel proves nobody's probes, ${ONLY_RESOLVED}`,
  admins: `this server's own kernel proves only what an admin publishes, ${ONLY_RESOLVED}`,
} as const;

/**
 * Asks this host's kernel, for authors whom policy trusts with it (DESIGN §4.4): a verifier's bug would be this machine's. No
 * answer is no refusal: the release says `unproven` and why.
 */
@Injectable()
export class Prover {
  constructor(
    private readonly tools: VerifyTools,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /** Throws OBJECT_INVALID when libbpf cannot open the object at all. */
  async prove(author: User, manifest: ProbeManifest, objects: readonly CheckedObject[]): Promise<Verdict> {
    const policy = this.config.proveOnHost;
    if (policy === 'nobody' || (policy === 'admins' && author.role !== 'admin'))
      return this.unproven(UNTRUSTED[policy]);
    const host = hostArch();
    const mine = objects.find(({ arch }) => arch === 'any' || arch === host);
    if (!mine) {
      const arches = objects.map(({ arch }) => arch).join(', ');
      return this.unproven(`this server runs on ${host ?? process.arch}, the release has objects for ${arches}`);
    }
    try {
      const images = globalImages(mine.object, manifest, resolveParams(manifest, {}));
      const globals = Object.fromEntries([...images].map(([name, image]) => [name, Buffer.from(image)]));
      const report = await this.tools.proveJail.prove(mine.bytes, globals);
      return this.verdictOf(report, mine.bytes, await this.host());
    } catch (error) {
      if (error instanceof JailError) return this.unproven(error.message);
      if (!(error instanceof ProveError)) throw error;
      if (error.reason === 'request')
        throw refusal('OBJECT_INVALID', `libbpf cannot open this object: ${error.message}`);
      return this.unproven(error.message);
    }
  }

  private unproven(reason: string): Verdict {
    const provenAt = this.clock.now().toISOString();
    return { kernel: null, verdict: 'unproven', reason, loadMs: null, programs: [], provenAt };
  }

  /** Of an old kernel more may be called unproven than need be. */
  private async host(): Promise<AskedKernel> {
    const { isKernelType } = await this.tools.lintPolicy();
    const hasType = isKernelType && ((kind: string, name: string) => kind === 'typedef' || isKernelType(name));
    return { lacks: [], hasType };
  }

  /** What a module might bring that this host has not loaded is no fault of the release. */
  private verdictOf(report: VerifierReport, object: Buffer, host: AskedKernel): Verdict {
    const explained = report.verdict === 'accepted' ? [] : explainReport(report, object);
    const word = reportWord(report, explained, host);
    const whole = explained.find(({ program }) => program === undefined);
    const { release, arch, buildId } = report.kernel;
    return {
      kernel: { release, arch: archOfMachine(arch), buildId },
      verdict: word === 'unknown' || report.verdict === 'unable' ? 'unproven' : word,
      reason: whole ? `${whole.sentence} ${whole.advice}` : (report.reason ?? null),
      loadMs: report.loadMs,
      programs: programVerdicts(report, explained),
      provenAt: this.clock.now().toISOString(),
    };
  }
}
