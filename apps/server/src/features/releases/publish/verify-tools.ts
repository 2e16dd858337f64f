import { join } from 'node:path';
import { Injectable, Logger } from '@nestjs/common';
import { Config } from '../../../config/config.js';
import {
  CompileJail,
  DEFAULT_LINT_POLICY,
  ensureVmlinuxHeader,
  JailError,
  kernelTypes,
  ProveJail,
  type LintPolicy,
} from '../../../verify/index.js';
import { DomainError } from '../../../platform/errors.js';

/** The jails, made when first needed: a server that never publishes needs neither compiler nor verifier. */
@Injectable()
export class VerifyTools {
  private readonly log = new Logger('VerifyTools');
  readonly proveJail: ProveJail;
  private compiler: Promise<CompileJail> | undefined;
  private policy: Promise<LintPolicy> | undefined;

  constructor(private readonly config: Config) {
    this.proveJail = new ProveJail({ verifierMain: config.verifierMain });
  }

  /** Throws COMPILER_UNAVAILABLE (503) when this host cannot make the kernel's header. */
  async compileJail(): Promise<CompileJail> {
    this.compiler ??= this.openCompiler().catch((error: unknown) => {
      this.compiler = undefined; // so that an installed package is found without a restart
      throw error;
    });
    return this.compiler;
  }

  async lintPolicy(): Promise<LintPolicy> {
    const programTypes = [...DEFAULT_LINT_POLICY.programTypes, ...this.config.furtherProgramTypes];
    const policy = { ...DEFAULT_LINT_POLICY, programTypes };
    this.policy ??= kernelTypes().then(
      (isKernelType) => ({ ...policy, isKernelType }),
      (error: Error) => {
        this.log.warn(`kernel types in events are not looked for: ${error.message}`);
        return policy;
      },
    );
    return this.policy;
  }

  private async openCompiler(): Promise<CompileJail> {
    try {
      const kernelHeaders = await ensureVmlinuxHeader(join(this.config.dataDir, 'headers'));
      return new CompileJail({ includeDirs: [this.config.probeIncludeDir, kernelHeaders] });
    } catch (error) {
      throw unavailable(error);
    }
  }
}

/** A jail that cannot be built says nothing about what was uploaded. */
export function unavailable(error: unknown): unknown {
  if (!(error instanceof JailError)) return error;
  const message = `this server cannot compile: ${error.message} (needs ${error.needs}); upload a ready object instead`;
  return new DomainError(503, 'COMPILER_UNAVAILABLE', message);
}
