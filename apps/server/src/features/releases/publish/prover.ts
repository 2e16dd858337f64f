import { Injectable } from '@nestjs/common';
import type { Verdict } from '@bpfleet/api';
import { globalImages, resolveParams, type ProbeManifest } from '@bpfleet/probe';
import { Clock } from '../../../platform/clock.js';
import {
  explainReport,
  JailError,
  ProveError,
  type ExplainedRefusal,
  type VerifierReport,
} from '../../../verify/index.js';
import type { CheckedObject } from './check-objects.js';
import { archOfMachine, hostArch } from './host-arch.js';
import { refusal } from './refusal.js';
import { VerifyTools } from './verify-tools.js';

const LOG_CHARS_MAX = 64 * 1024;
const NUL = /\u0000/g;

/** Asks this host's kernel. No answer is no refusal: the release says `unproven` and why. */
@Injectable()
export class Prover {
  constructor(
    private readonly tools: VerifyTools,
    private readonly clock: Clock,
  ) {}

  /** Throws OBJECT_INVALID when libbpf cannot open the object at all. */
  async prove(manifest: ProbeManifest, objects: readonly CheckedObject[]): Promise<Verdict> {
    const host = hostArch();
    const mine = objects.find(({ arch }) => arch === 'any' || arch === host);
    if (!mine) {
      const arches = objects.map(({ arch }) => arch).join(', ');
      return this.unproven(`this server runs on ${host ?? process.arch}, the release has objects for ${arches}`);
    }
    try {
      const images = globalImages(mine.object, manifest, resolveParams(manifest, {}));
      const globals = Object.fromEntries([...images].map(([name, image]) => [name, Buffer.from(image)]));
      return this.verdictOf(await this.tools.proveJail.prove(mine.bytes, globals), mine.bytes);
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

  private verdictOf(report: VerifierReport, object: Buffer): Verdict {
    const explained = report.verdict === 'accepted' ? [] : explainReport(report, object);
    const whole = explained.find(({ program }) => program === undefined);
    const { release, arch, buildId } = report.kernel;
    return {
      kernel: { release, arch: archOfMachine(arch), buildId },
      verdict: report.verdict === 'unable' ? 'unproven' : report.verdict,
      reason: whole ? `${whole.sentence} ${whole.advice}` : (report.reason ?? null),
      loadMs: report.loadMs,
      programs: report.programs.map((program) => programVerdict(program, explained)),
      provenAt: this.clock.now().toISOString(),
    };
  }
}

function programVerdict(
  program: VerifierReport['programs'][number],
  explained: readonly ExplainedRefusal[],
): Verdict['programs'][number] {
  const why = explained.find((one) => one.program === program.name);
  return {
    name: program.name,
    section: program.section,
    type: program.type,
    verdict: program.verdict,
    instructionCount: program.instructionCount,
    verifiedInstructions: program.verifiedInstructions ?? null,
    stackDepthBytes: program.stackDepthBytes ?? null,
    errnoName: program.errnoName ?? null,
    explanation: why
      ? { class: why.class, sentence: why.sentence, advice: why.advice, ...(why.source ? { source: why.source } : {}) }
      : null,
    // The end of a log is where the reason stands; Postgres takes no NUL.
    log: program.log?.replace(NUL, '').slice(-LOG_CHARS_MAX) ?? null,
  };
}
