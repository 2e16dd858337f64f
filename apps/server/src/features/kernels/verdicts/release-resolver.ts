import { Injectable } from '@nestjs/common';
import { BtfError, kernelTypeNeeds, readObject, type BpfObjectFile } from '@bpfleet/btf';
import { constantData, type ParamValue, type ProbeManifest } from '@bpfleet/probe';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { KernelBtfError, resolveForKernel, type KernelResolution } from '../../../verify/index.js';
import type { CatalogueRelease } from '../../releases/catalogue/index.js';
import { KernelBtfs } from '../btf/kernel-btfs.js';
import {
  KernelVerdicts,
  type KernelVerdictWord,
  type NewKernelVerdict,
  type VerdictReason,
} from './kernel-verdicts.js';

/** As far as resolving needs to know it. */
export interface ResolvedKernel {
  readonly id: string;
  readonly kernelArch: string;
  /** What the kernel shows itself. */
  readonly btfDigest: string | null;
}

export type Resolved = Pick<NewKernelVerdict, 'verdict' | 'reasons' | 'facts'>;

interface GivenParams {
  readonly manifest: ProbeManifest;
  readonly params: Readonly<Record<string, ParamValue>>;
}

const REMEMBERED_MAX = 500;

/** Finds out what the kernels of a group would make of a release, by their types, and keeps it as a verdict. */
@Injectable()
export class ReleaseResolver {
  /** Groups that differ in their JIT alone have the same types. Oldest first. */
  private readonly found = new Map<string, Resolved>();

  constructor(
    private readonly btfs: KernelBtfs,
    private readonly blobs: BlobStore,
    private readonly verdicts: KernelVerdicts,
  ) {}

  /** `source` is the BTF of that kernel: its own, or what was added for its build. */
  async resolve(release: CatalogueRelease, kernel: ResolvedKernel, source: string): Promise<Resolved> {
    const found = await this.look(release, kernel, source);
    const what = {
      releaseId: release.id,
      kernelGroupId: kernel.id,
      stage: 'resolve' as const,
      globals: '',
      btfDigest: source,
    };
    await this.verdicts.record({ ...what, ...found });
    return found;
  }

  /**
   * The same, kept for a while by this process alone: for kernels that no device runs yet, and with `params` for what these
   * decide; without, they count as anything. `params` were checked before.
   */
  async look(
    release: CatalogueRelease,
    kernel: Omit<ResolvedKernel, 'id'>,
    source: string,
    params?: Readonly<Record<string, ParamValue>>,
  ): Promise<Resolved> {
    const { objects } = release;
    const object = objectFor(release, kernel.kernelArch);
    if (!object) {
      const there = objects.map(({ arch }) => arch).join(', ');
      const sentence = `The release has objects for ${there}, and none for ${kernel.kernelArch}.`;
      return { verdict: 'refused', reasons: [{ kind: 'arch', sentence }], facts: {} };
    }
    const showsBtf = kernel.btfDigest !== null;
    const key = keyOf(object.digest, kernel, source, params);
    const known = this.found.get(key);
    if (known) return known;
    const given = params && { manifest: release.manifest, params };
    const found = await this.resolveObject(object.digest, source, showsBtf, given);
    const oldest = this.found.keys().next();
    if (this.found.size >= REMEMBERED_MAX && !oldest.done) this.found.delete(oldest.value);
    this.found.set(key, found);
    return found;
  }

  /** Whether `look` has its answer at hand. */
  remembers(
    release: CatalogueRelease,
    kernel: Omit<ResolvedKernel, 'id'>,
    source: string,
    params: Readonly<Record<string, ParamValue>>,
  ): boolean {
    const object = objectFor(release, kernel.kernelArch);
    return object === undefined || this.found.has(keyOf(object.digest, kernel, source, params));
  }

  private async resolveObject(
    objectDigest: string,
    source: string,
    showsBtf: boolean,
    given: GivenParams | undefined,
  ): Promise<Resolved> {
    try {
      const [types, bytes] = await Promise.all([this.btfs.types(source), this.blobs.get(objectDigest)]);
      if (!types || !bytes) return unknown('The object or the types of the kernel are not in the store any more.');
      const object = readObject(bytes);
      const facts = { object: objectDigest, relocations: kernelTypeNeeds(object).relocations };
      const known = given && { constants: constantData(object, given.manifest, given.params) };
      return {
        ...wordFor(resolveForKernel(bytes, types.btf, { showsBtf, ...known }), hasLateConstants(object)),
        facts,
      };
    } catch (error) {
      if (error instanceof BtfError || error instanceof KernelBtfError)
        return unknown(`It cannot be resolved: ${error.message}.`);
      throw error;
    }
  }
}

function keyOf(
  objectDigest: string,
  { btfDigest }: Pick<ResolvedKernel, 'btfDigest'>,
  source: string,
  params: Readonly<Record<string, ParamValue>> | undefined,
): string {
  return JSON.stringify([objectDigest, source, btfDigest !== null, params]);
}

/** The object that a device of this architecture loads, as the agent chooses it. */
export function objectFor(
  { objects }: CatalogueRelease,
  arch: string,
): CatalogueRelease['objects'][number] | undefined {
  return objects.find((one) => one.arch === arch) ?? objects.find((one) => one.arch === 'any');
}

function unknown(sentence: string): Resolved {
  return { verdict: 'unknown', reasons: [{ kind: 'unread', sentence }], facts: {} };
}

/** What only a kernel turns into constants, by which a verifier may find that the program never gets to what is missing. */
const LATE_CONSTANTS = ['.kconfig', '.ksyms'];

/** Parameters, options of the kernel's configuration (its version among them), and symbols that it may not have. */
function hasLateConstants(object: BpfObjectFile): boolean {
  return (
    object.globals.some(({ tunable }) => tunable) ||
    LATE_CONSTANTS.some((section) => object.btf.findByName('datasec', section) !== undefined)
  );
}

function wordFor(
  { ok, unresolved, mismatches, needs }: KernelResolution,
  lateConstants: boolean,
): { verdict: KernelVerdictWord; reasons: VerdictReason[] } {
  const reasons: VerdictReason[] = [
    ...needs.map((need) => ({ kind: 'type_id', ...need })),
    ...unresolved,
    ...mismatches.map(({ program, sentence }) => ({ kind: 'read_size', program, sentence })),
  ];
  if (ok) return { verdict: 'accepted', reasons };
  const certain = reasons.some(({ kind }) => kind !== 'type_elsewhere' && (kind !== 'poison' || !lateConstants));
  return { verdict: certain ? 'refused' : 'unknown', reasons };
}
