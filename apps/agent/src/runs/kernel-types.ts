import type { KernelTypeNeeds } from '@bpfleet/probe';
import type { DesiredEntry } from '@bpfleet/trust';
import type { Facts } from '@bpfleet/wire';
import { AgentError } from '../agent-error.js';
import { KERNEL_BTF } from '../kernel/btf-file.js';
import type { Fetcher } from '../link/fetcher.js';
import { errorFacts, type Log } from '../log.js';
import type { TrustKeeper } from '../trust/trust-keeper.js';

export interface KernelTypesOptions {
  readonly trust: TrustKeeper;
  readonly fetcher: Fetcher;
  readonly facts: Facts;
  /** The file that `facts.btfDigest` is of. */
  readonly btfPath: string;
  readonly log: Log;
}

/** By whose types an object reads the kernel: those that the kernel shows, or a tailored BTF that was signed for it. */
export class KernelTypes {
  constructor(private readonly options: KernelTypesOptions) {}

  /**
   * Fetches and checks the tailored BTF that an entry names; returns its path. Undefined when it names none, or when the
   * kernel shows its own types and these do as well.
   * @throws AgentError, TrustError
   */
  async tailored(entry: DesiredEntry, object: string, signal: AbortSignal): Promise<string | undefined> {
    if (entry.addendum === undefined) return undefined;
    try {
      return await this.fetch(entry.addendum, { release: entry.release, object }, signal);
    } catch (error) {
      const facts = errorFacts(error);
      if (this.options.facts.btfDigest === null || facts.code === 'ABORTED') throw error;
      // It would only have saved memory while loading.
      this.options.log('warn', 'btf.own', { run: entry.run, ...facts });
      return undefined;
    }
  }

  /** What the loader is to be told. @throws AgentError BTF_MISSING */
  pathFor(needs: KernelTypeNeeds, tailored: string | undefined): string | undefined {
    const { facts, btfPath } = this.options;
    if (facts.btfDigest === null) this.assertPossible(needs, tailored);
    if (needs.relocations === 0) return undefined;
    return tailored ?? (btfPath === KERNEL_BTF ? undefined : btfPath);
  }

  private assertPossible(needs: KernelTypeNeeds, tailored: string | undefined): void {
    const { kernelRelease, kernelBuildId } = this.options.facts;
    const [program] = needs.programs;
    const [symbol] = needs.symbols;
    if (program) {
      throw missing(
        `the kernel shows no BTF, and ${program.name} (${program.section}) attaches by it; nothing replaces that`,
      );
    }
    if (symbol) throw missing(`the kernel shows no BTF, and ${symbol} is used by its type; nothing replaces that`);
    if (needs.relocations === 0 || tailored !== undefined) return;
    const build = kernelBuildId === null ? '' : `, build ${kernelBuildId}`;
    throw missing(
      `the kernel ${kernelRelease}${build} shows no BTF, and the server has none for it: give it with bpfleet btf add`,
    );
  }

  private async fetch(digest: string, use: { release: string; object: string }, signal: AbortSignal): Promise<string> {
    const { trust, fetcher, facts } = this.options;
    const whole = { ...use, buildId: facts.kernelBuildId };
    const addendum =
      trust.storedAddendum(digest, whole) ??
      trust.takeAddendum(digest, await fetcher.document({ v: 1, kind: 'addendum', digest }, signal), whole);
    const { btf } = addendum;
    if (!trust.storedBlob(btf.digest, btf.bytes)) {
      trust.takeBlob(btf.digest, await fetcher.blob(btf.digest, btf.bytes, signal));
    }
    return trust.blobPath(btf.digest);
  }
}

function missing(message: string): AgentError {
  return new AgentError('BTF_MISSING', message);
}
