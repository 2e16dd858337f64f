import { Injectable } from '@nestjs/common';
import type { Kernel } from '@bpfleet/api';
import {
  Addenda,
  KernelHooks,
  KernelList,
  KernelVerdicts,
  ReleaseResolver,
  type KernelHook,
  type KernelVerdict,
  type VerdictReason,
} from '../kernels/index.js';
import { DEFAULT_GLOBALS } from '../lab/params/index.js';
import { ReleaseCatalogue, type CatalogueRelease, type ServerVerdict } from '../releases/catalogue/index.js';
import { hasLookedAtHooks, hookOf } from './decide/hook-findings.js';
import type { Known, ObjectNeeds, Proof, ReleaseFacts, Resolution } from './decide/facts.js';

/** Kernels that are resolved while somebody waits: each takes a few tenths of a second when its types were not at hand. */
const RESOLVED_AT_ONCE_MAX = 8;
const REASON_CHARS_MAX = 1_000;
/** Kinds of reasons for which the lab does not ask its kernel: what is said of types, objects and bounds is said here anyway. */
const NOT_ASKED = ['types', 'arch', 'object'];

/** Of a kernel group, or with null one of which only the types are known. */
export type AskedKernel = Omit<Kernel, 'id'> & { readonly id: string | null };
/** Only for the kernels that were asked about. `undefined` is one whose group is not kept. */
export type KnownOf = (kernel: AskedKernel | undefined) => Known;

/** How many more may be resolved for this question. */
export interface ResolveBudget {
  left: number;
}

export function resolveBudget(): ResolveBudget {
  return { left: RESOLVED_AT_ONCE_MAX };
}

/** What is known of a release on some kernels. What nobody has looked at yet is found out, some kernels at each question. */
@Injectable()
export class VerdictReader {
  constructor(
    private readonly kernels: KernelList,
    private readonly verdicts: KernelVerdicts,
    private readonly resolver: ReleaseResolver,
    private readonly addenda: Addenda,
    private readonly releases: ReleaseCatalogue,
    private readonly hooks: KernelHooks,
  ) {}

  async knownOf(
    release: CatalogueRelease,
    facts: (arch: string) => ReleaseFacts,
    kernels: readonly AskedKernel[],
    budget: ResolveBudget,
  ): Promise<KnownOf> {
    const [newest, server] = await Promise.all([
      this.verdicts.newestOf(release.id),
      this.releases.serverVerdicts(release.id),
    ]);
    const proofs = [...(await this.labProofs(newest)), ...server.flatMap(serverProof)];
    const unproven = server.find(({ kernelRelease }) => kernelRelease === null)?.reason ?? null;
    const resolutions = await this.resolutions(release, facts, kernels, newest, budget);
    const signed = await this.signed(release, facts, kernels);
    const unnamed = await this.unnamedHooks(facts, kernels, proofs, budget);
    return (kernel) => ({
      btf: kernel?.btf ?? { state: 'wanted', reason: 'it is not among the kernels that the server keeps' },
      resolution: kernel && resolutions.get(kernel),
      unnamedHooks: kernel && unnamed.get(kernel),
      addendum: kernel !== undefined && signed.has(kernel),
      proofs,
      unproven,
    });
  }

  /** Of each kernel whose types are known and needed. */
  private async resolutions(
    release: CatalogueRelease,
    facts: (arch: string) => ReleaseFacts,
    kernels: readonly AskedKernel[],
    newest: readonly KernelVerdict[],
    budget: ResolveBudget,
  ): Promise<Map<AskedKernel, Resolution>> {
    const kept = new Map(newest.filter(({ stage }) => stage === 'resolve').map((one) => [one.kernelGroupId, one]));
    const found = new Map<AskedKernel, Resolution>();
    const looked = new Set<string>();
    // Kernels with the same types one after the other: the parsed ones are few.
    for (const kernel of [...kernels].sort(bySource)) {
      const source = sourceOf(kernel);
      const object = facts(kernel.kernelArch).object;
      if (source === null || !isRelocated(object)) continue;
      const verdict = kernel.id === null ? undefined : kept.get(kernel.id);
      const key = `${object.digest} ${source}`;
      const spend = (): boolean => {
        if (!looked.has(key) && budget.left-- <= 0) return false;
        looked.add(key);
        return true;
      };
      let resolution: Resolution = { word: 'pending' };
      if (verdict?.btfDigest === source) resolution = { word: verdict.verdict, reasons: verdict.reasons };
      else if (spend()) resolution = await this.resolve(release, kernel, source);
      if (isByParameter(resolution, object)) {
        resolution = await this.byParameters(release, kernel, source, facts(kernel.kernelArch).params, spend);
      }
      found.set(kernel, resolution);
    }
    return found;
  }

  /** With the parameters that it is to run with, which what is kept of a kernel leaves open. */
  private async byParameters(
    release: CatalogueRelease,
    kernel: AskedKernel,
    source: string,
    params: ReleaseFacts['params'],
    spend: () => boolean,
  ): Promise<Resolution> {
    const shown = { kernelArch: kernel.kernelArch, btfDigest: showsBtf(kernel) === false ? null : source };
    if (!this.resolver.remembers(release, shown, source, params) && !spend()) return { word: 'pending' };
    const { verdict, reasons } = await this.resolver.look(release, shown, source, params);
    return { word: verdict, reasons };
  }

  private async resolve(release: CatalogueRelease, kernel: AskedKernel, source: string): Promise<Resolution> {
    const { id, kernelArch } = kernel;
    const shown = { kernelArch, btfDigest: showsBtf(kernel) === false ? null : source };
    const { verdict, reasons } =
      id === null
        ? await this.resolver.look(release, shown, source)
        : await this.resolver.resolve(release, { id, ...shown }, source);
    return { word: verdict, reasons };
  }

  /** Only of kernels that were not looked at themselves when they loaded it. */
  private async unnamedHooks(
    facts: (arch: string) => ReleaseFacts,
    kernels: readonly AskedKernel[],
    proofs: readonly Proof[],
    budget: ResolveBudget,
  ): Promise<Map<AskedKernel, readonly KernelHook[]>> {
    const found = new Map<AskedKernel, readonly KernelHook[]>();
    const looked = new Set(proofs.filter(hasLookedAtHooks).flatMap(({ groupId }) => groupId ?? []));
    for (const kernel of [...kernels].sort(bySource)) {
      const hooks = hooksOf(facts(kernel.kernelArch).object);
      const source = sourceOf(kernel);
      if (hooks.length === 0) found.set(kernel, []);
      if (hooks.length === 0 || source === null || (kernel.id !== null && looked.has(kernel.id))) continue;
      if (!this.hooks.remembers(source, hooks) && budget.left-- <= 0) continue;
      const unnamed = await this.hooks.unnamed(source, hooks);
      if (unnamed !== undefined) found.set(kernel, unnamed);
    }
    return found;
  }

  /** Kernels without BTF of their own for which a tailored one is made and signed. */
  private async signed(
    release: CatalogueRelease,
    facts: (arch: string) => ReleaseFacts,
    kernels: readonly AskedKernel[],
  ): Promise<Set<AskedKernel>> {
    const signed = new Set<AskedKernel>();
    for (const kernel of kernels) {
      const { kernelArch, kernelBuildId: buildId, btf } = kernel;
      const object = facts(kernelArch).object;
      if (btf.state !== 'added' || btf.digest === null || buildId === null || !isRelocated(object)) continue;
      const use = { releaseId: release.id, objectDigest: object.digest, buildId, source: btf.digest };
      if (await this.addenda.exists(use)) signed.add(kernel);
    }
    return signed;
  }

  private async labProofs(newest: readonly KernelVerdict[]): Promise<Proof[]> {
    const proven = newest.filter(({ stage }) => stage === 'prove');
    const groups = await this.kernels.groups(proven.map(({ kernelGroupId }) => kernelGroupId));
    const byId = new Map(groups.map((group) => [group.id, group]));
    return proven.flatMap(({ kernelGroupId, globals, verdict, reasons, btfDigest, at }) => {
      const group = byId.get(kernelGroupId);
      // By other types it may load otherwise: the lab asks again.
      if (!group || btfDigest !== group.btf.digest || !wasAsked(reasons)) return [];
      const { kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm } = group;
      const kernel = { kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm };
      return [{ ...kernel, by: 'lab' as const, groupId: kernelGroupId, globals, verdict, reasons, at }];
    });
  }
}

/** Undefined where only the types are known. */
export function showsBtf({ id, btf }: AskedKernel): boolean | undefined {
  return id === null ? undefined : btf.state !== 'added' && btf.state !== 'missing';
}

/** The types that are used for this kernel, where the server has them. */
export function sourceOf({ btf }: AskedKernel): string | null {
  return btf.state === 'known' || btf.state === 'added' ? btf.digest : null;
}

/** Whether what speaks against it may be turned off. */
function isByParameter(resolution: Resolution, { tunables }: ObjectNeeds): boolean {
  return (
    tunables.length > 0 &&
    resolution.word === 'unknown' &&
    resolution.reasons.some(({ kind }) => kind === 'poison' || kind === 'type_elsewhere')
  );
}

function isRelocated(object: ReleaseFacts['object']): object is ObjectNeeds {
  return object !== undefined && object !== 'unreadable' && object.relocations > 0;
}

function hooksOf(object: ReleaseFacts['object']): KernelHook[] {
  if (typeof object !== 'object') return [];
  return object.programs.flatMap(({ section }) => hookOf(section) ?? []);
}

function wasAsked(reasons: readonly VerdictReason[]): boolean {
  return reasons.length === 0 || reasons.some(({ kind }) => !NOT_ASKED.includes(kind));
}

function bySource(a: AskedKernel, b: AskedKernel): number {
  return (sourceOf(a) ?? '').localeCompare(sourceOf(b) ?? '');
}

/** What the server's own kernel could not load for want of a hook may be its settings: it refuses nothing for others. */
function serverProof(given: ServerVerdict): Proof[] {
  const { kernelRelease, kernelArch, kernelBuildId, provenAt, programs } = given;
  if (kernelRelease === null || kernelArch === null) return [];
  const unsupported = programs.filter(({ verdict }) => verdict === 'unsupported').map(({ name }) => name);
  const sentence =
    unsupported.length > 0
      ? `The server's own kernel, of this build, does not support ${unsupported.join(', ')}.`
      : `The server's own kernel, of this build, gave no verdict: ${given.reason ?? 'no reason given'}.`;
  return [
    {
      by: 'server',
      groupId: null,
      globals: DEFAULT_GLOBALS,
      kernelRelease,
      kernelArch,
      kernelBuildId,
      userBits: kernelArch === 'arm' ? 32 : 64,
      jit: undefined,
      lsm: undefined,
      verdict: given.verdict === 'accepted' ? 'accepted' : 'unknown',
      reasons: [{ kind: 'unproven', sentence: sentence.slice(0, REASON_CHARS_MAX) }],
      at: provenAt,
    },
  ];
}
