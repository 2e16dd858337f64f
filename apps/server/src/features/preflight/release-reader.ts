import { Injectable, Logger } from '@nestjs/common';
import { BtfError } from '@bpfleet/btf';
import { kernelTypeNeeds, mapMemoryBytes, readObject, resolveParams, type ParamValue } from '@bpfleet/probe';
import { BlobStore } from '../../platform/blobs/blob-store.js';
import { objectFor } from '../kernels/index.js';
import type { CatalogueRelease } from '../releases/catalogue/index.js';
import type { ObjectNeeds, ReleaseFacts } from './decide/facts.js';

const OBJECTS_KEPT_MAX = 100;

/** What a release needs, read from its objects, which never change. */
@Injectable()
export class ReleaseReader {
  private readonly log = new Logger('ReleaseReader');
  /** Oldest first. */
  private readonly objects = new Map<string, ObjectNeeds | 'unreadable'>();

  constructor(private readonly blobs: BlobStore) {}

  /** By the architecture of a kernel. `params` were checked before. */
  async factsFor(
    release: CatalogueRelease,
    params: Readonly<Record<string, ParamValue>>,
    arches: Iterable<string>,
  ): Promise<(arch: string) => ReleaseFacts> {
    const { manifest } = release;
    const needs = new Map<string, ObjectNeeds | 'unreadable'>();
    for (const arch of new Set(arches)) {
      const object = objectFor(release, arch);
      if (object) needs.set(arch, await this.needsOf(object.digest));
    }
    const [chosen, defaults] = [resolveParams(manifest, params), resolveParams(manifest, {})];
    const shared = {
      features: manifest.requires.features,
      budgetBytes: manifest.budget.map_bytes,
      arches: release.objects.map(({ arch }) => arch),
      params: chosen,
    };
    const changed = Object.keys(defaults).filter((name) => chosen[name] !== defaults[name]);
    return (arch) => {
      const object = needs.get(arch);
      const held = typeof object === 'object' ? object.tunables : [];
      return { ...shared, object, changedParams: changed.filter((name) => held.includes(name)) };
    };
  }

  private async needsOf(digest: string): Promise<ObjectNeeds | 'unreadable'> {
    const kept = this.objects.get(digest);
    if (kept) return kept;
    const bytes = await this.blobs.get(digest);
    const needs = bytes ? this.read(digest, bytes) : 'unreadable';
    const oldest = this.objects.keys().next();
    if (this.objects.size >= OBJECTS_KEPT_MAX && !oldest.done) this.objects.delete(oldest.value);
    this.objects.set(digest, needs);
    return needs;
  }

  private read(digest: string, bytes: Buffer): ObjectNeeds | 'unreadable' {
    try {
      return objectNeeds(digest, bytes);
    } catch (error) {
      if (!(error instanceof BtfError)) throw error;
      this.log.warn(`object ${digest} cannot be read: ${error.message}`);
      return 'unreadable';
    }
  }
}

/** @throws BtfError */
export function objectNeeds(digest: string, bytes: Buffer): ObjectNeeds {
  const object = readObject(bytes);
  const { relocations, programs, symbols } = kernelTypeNeeds(object);
  return {
    digest,
    // A section that begins with `?` is left out unless somebody asks for it.
    programs: object.programs
      .filter(({ section }) => !section.startsWith('?'))
      .map(({ name, section }) => ({ name, section })),
    maps: object.maps.map(({ name, typeName }) => ({ name, typeName })),
    relocations,
    tunables: object.globals.filter(({ tunable }) => tunable).map(({ name }) => name),
    typeIdNeeds: [
      ...programs.map(({ name, section }) => `Program ${name} (${section}) attaches by the BTF that a kernel shows.`),
      ...symbols.map(
        (symbol) => `The kernel's ${symbol} is used by its type, which needs the BTF that a kernel shows.`,
      ),
    ],
    mapBytes: (machine) => mapMemoryBytes(object, machine).reduce((sum, { bytes: one }) => sum + one, 0),
  };
}
