import { Injectable } from '@nestjs/common';
import { BtfError, globalImages, ParamError, readObject, resolveParams, type ParamValue } from '@bpfleet/probe';
import type { Facts } from '@bpfleet/wire';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { Addenda, KernelOffers, objectFor, type KernelOffer } from '../../kernels/index.js';
import type { CatalogueRelease } from '../../releases/catalogue/index.js';
import type { ProofOrder } from '../machine/lab-machines.js';
import { refusal, type LabVerdict } from './verdict-of-report.js';

type Params = Readonly<Record<string, ParamValue>>;

/** What to load, or why no device like it would. `source`: the types that were used. */
export type Prepared = { readonly order: ProofOrder } | { readonly verdict: LabVerdict };

/** Makes of a release what a device with this kernel would load: its object, with parameters (those that are left out have their defaults), and its tailored types. */
@Injectable()
export class ProofOrders {
  constructor(
    private readonly sql: ControlSql,
    private readonly blobs: BlobStore,
    private readonly offers: KernelOffers,
    private readonly addenda: Addenda,
  ) {}

  async prepare(release: CatalogueRelease, facts: Facts, params: Params): Promise<Prepared> {
    const chosen = objectFor(release, facts.kernelArch);
    if (!chosen) {
      const there = release.objects.map(({ arch }) => arch).join(', ');
      const sentence = `The release has objects for ${there}, and none for ${facts.kernelArch}.`;
      return { verdict: refusal('arch', sentence) };
    }
    const object = await this.blobs.get(chosen.digest);
    if (!object) throw new Error(`object ${chosen.digest} is not in the store`);
    const offer = await this.offer(release, facts);
    if (offer.kind === 'refused') return { verdict: refusal('types', offer.error.message) };
    const btf = offer.kind === 'tailored' ? await this.addenda.btfOf(offer.addendum) : undefined;
    return withGlobals(release, object, params, btf);
  }

  /** As a device of this kernel would be offered it, by the same code. */
  private async offer(release: CatalogueRelease, facts: Facts): Promise<Exclude<KernelOffer, { kind: 'pending' }>> {
    const ask = () => this.sql.withTransaction((client) => this.offers.offer(client, facts, true, release));
    const first = await ask();
    if (first.kind !== 'pending') return first;
    await this.offers.prepare(first.work);
    const second = await ask();
    if (second.kind !== 'pending') return second;
    // It resolves now, and the addendum is made by the second round.
    await this.offers.prepare(second.work);
    const third = await ask();
    if (third.kind !== 'pending') return third;
    throw new Error(`it cannot be found out by whose types ${release.probe} ${release.version} is to be loaded`);
  }
}

function withGlobals(release: CatalogueRelease, object: Buffer, params: Params, btf: Buffer | undefined): Prepared {
  try {
    const globals = globalImages(readObject(object), release.manifest, resolveParams(release.manifest, params));
    return { order: { object, globals, btf } };
  } catch (error) {
    if (!(error instanceof BtfError) && !(error instanceof ParamError)) throw error;
    return { verdict: refusal('object', `It cannot be loaded anywhere: ${error.message}.`) };
  }
}
