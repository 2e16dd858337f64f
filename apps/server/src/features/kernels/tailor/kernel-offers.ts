import { Injectable } from '@nestjs/common';
import { BtfError } from '@bpfleet/btf';
import type { Facts } from '@bpfleet/wire';
import type pg from 'pg';
import { Config } from '../../../config/config.js';
import type { CatalogueRelease } from '../../releases/catalogue/index.js';
import { kernelGroupOf, type KernelGroup } from '../groups/index.js';
import { KernelVerdicts, type VerdictReason } from '../verdicts/kernel-verdicts.js';
import { objectFor, ReleaseResolver } from '../verdicts/release-resolver.js';
import { VERDICT_VERSIONS } from '../verdicts/verdict-versions.js';
import { Addenda } from './addenda.js';

/**
 * By whose types a device is to load a release. `basis` changes when a refusal may not hold any more.
 * - `own`: as it is: the kernel's own types do, or nothing is known that could help;
 * - `tailored`: with this addendum; `spare` when the kernel's own types would do as well;
 * - `refused`: it is known that this kernel cannot load it, or would load it and read garbage: it is not offered;
 * - `pending`: to be found out, see `prepare`.
 */
export type KernelOffer =
  | { readonly kind: 'own'; readonly basis: string }
  | { readonly kind: 'tailored'; readonly basis: string; readonly addendum: string; readonly spare: boolean }
  | {
      readonly kind: 'refused';
      readonly basis: string;
      readonly error: { readonly code: string; readonly message: string };
    }
  | { readonly kind: 'pending'; readonly work: OfferWork };

/** What has to be found out, and made, before a release can be offered. */
export interface OfferWork {
  readonly release: CatalogueRelease;
  readonly group: KernelGroup;
  readonly source: string;
  /** It resolves, and only the addendum is missing. */
  readonly resolved: boolean;
  /** Whether an addendum is made of what resolves. */
  readonly tailors: boolean;
}

interface Known {
  source: string;
  verdict: string | null;
  resolvedWith: string | null;
  reasons: VerdictReason[] | null;
  relocations: number | null;
  addendum: string | null;
}

const BASIS_CHARS = 16;
const MESSAGE_CHARS_MAX = 1_000;

/**
 * Decides by whose types devices load: of those whose kernels show none, and where so configured of the others too, to spare
 * memory. It keeps from all of them what would load and read garbage.
 */
@Injectable()
export class KernelOffers {
  constructor(
    private readonly config: Config,
    private readonly addenda: Addenda,
    private readonly resolver: ReleaseResolver,
    private readonly verdicts: KernelVerdicts,
  ) {}

  /** Reads only, in the caller's transaction. `noted`: the device's group is a row. */
  async offer(client: pg.PoolClient, facts: Facts, noted: boolean, release: CatalogueRelease): Promise<KernelOffer> {
    const group = kernelGroupOf(facts);
    const kernel = group.id.slice(0, BASIS_CHARS);
    const own = { kind: 'own', basis: kernel } as const;
    const understands = facts.understands?.includes('addendum') === true;
    const spare = group.btfDigest !== null;
    const object = objectFor(release, group.kernelArch);
    const tailors = !spare || (understands && this.config.tailoredBtf === 'always');
    if (!noted || !object) return own;
    const known = await this.known(client, group, release, object.digest);
    if (!known) return spare ? own : { ...own, basis: `${kernel} missing` };
    const { source, verdict, addendum } = known;
    const work = { release, group, source, tailors };
    if (verdict === null || known.resolvedWith !== source)
      return { kind: 'pending', work: { ...work, resolved: false } };
    if (verdict === 'refused') {
      // What a kernel with types of its own would refuse is its own to say; what it would load and misread is not (DESIGN §4.3).
      const unsaid = !spare || readsGarbage(known);
      return unsaid ? refused(`${kernel} refused ${source.slice(0, BASIS_CHARS)}`, known) : own;
    }
    // With types that are handed to it libbpf looks in no modules.
    if (!tailors || (spare && usesTypesElsewhere(known))) return own;
    // Without a number of relocations it could not even be read: the device is to say what it thinks.
    const useless = known.relocations === null || known.relocations === 0;
    if (useless || !understands || group.kernelBuildId === null) return own;
    if (addendum === null) return { kind: 'pending', work: { ...work, resolved: true } };
    return { kind: 'tailored', basis: `${kernel} ${addendum}`, addendum, spare };
  }

  /** Resolves, and makes the addendum. What it finds out is on record when it returns. */
  async prepare({ release, group, source, resolved, tailors }: OfferWork): Promise<void> {
    if (!resolved) {
      const { verdict, facts } = await this.resolver.resolve(release, group, source);
      if (!tailors || verdict === 'refused' || typeof facts['relocations'] !== 'number' || facts['relocations'] === 0)
        return;
    }
    const object = objectFor(release, group.kernelArch);
    if (!object || group.kernelBuildId === null) return;
    const use = { releaseId: release.id, releaseDigest: release.digest, objectDigest: object.digest };
    try {
      await this.addenda.make({ ...use, buildId: group.kernelBuildId, source });
    } catch (error) {
      if (!(error instanceof BtfError)) throw error;
      const reasons = [{ kind: 'refusal', sentence: `No BTF can be made for it: ${error.message}.` }];
      const what = {
        releaseId: release.id,
        kernelGroupId: group.id,
        stage: 'resolve' as const,
        globals: '',
        btfDigest: source,
      };
      await this.verdicts.record({ ...what, verdict: 'refused', reasons, facts: {} });
    }
  }

  private async known(
    client: pg.PoolClient,
    group: KernelGroup,
    release: CatalogueRelease,
    objectDigest: string,
  ): Promise<Known | undefined> {
    const { rows } = await client.query<Known>(
      `SELECT s.digest AS source, v.verdict, v."btfDigest" AS "resolvedWith", v.reasons,
         (v.facts->>'relocations')::int AS relocations, a.digest AS addendum
       FROM (SELECT digest FROM "KernelBtf" WHERE digest = $1::text
             UNION ALL SELECT "btfDigest" FROM "KernelBuild" WHERE $1::text IS NULL AND "buildId" = $2) s
       LEFT JOIN LATERAL (SELECT * FROM "KernelVerdict" WHERE "releaseId" = $3 AND "kernelGroupId" = $4 AND stage = 'resolve'
         AND version = $7 ORDER BY id DESC LIMIT 1) v ON TRUE
       LEFT JOIN "BtfAddendum" a ON a."releaseId" = $3 AND a."objectDigest" = $5 AND a."buildId" = $2
         AND a."sourceDigest" = s.digest AND a.keyid = $6`,
      [
        group.btfDigest,
        group.kernelBuildId,
        release.id,
        group.id,
        objectDigest,
        this.addenda.keyid,
        VERDICT_VERSIONS.resolve,
      ],
    );
    return rows[0];
  }
}

function usesTypesElsewhere({ reasons }: Known): boolean {
  return (reasons ?? []).some(({ kind }) => kind === 'type_elsewhere');
}

function readsGarbage({ reasons }: Known): boolean {
  return (reasons ?? []).some(({ kind }) => kind === 'read_size');
}

function refused(basis: string, { reasons }: Known): KernelOffer {
  const message = (reasons ?? []).map(({ sentence }) => sentence).join(' ') || 'it cannot be loaded on this kernel';
  return { kind: 'refused', basis, error: { code: 'KERNEL_TYPES', message: message.slice(0, MESSAGE_CHARS_MAX) } };
}
