import { Injectable, Logger } from '@nestjs/common';
import { BtfError } from '@bpfleet/btf';
import {
  kernelTypeNeeds,
  mapMemoryBytes,
  ParamError,
  readObject,
  resolveParams,
  type BpfObjectFile,
  type ParamValue,
  type ProbeManifest,
} from '@bpfleet/probe';
import { BlobStore } from '../../platform/blobs/blob-store.js';
import { objectFor } from '../kernels/index.js';
import { DEFAULT_GLOBALS, globalsDigest } from '../lab/params/index.js';
import type { CatalogueRelease } from '../releases/catalogue/index.js';
import type { ObjectNeeds, ReleaseFacts } from './decide/facts.js';

const OBJECTS_KEPT_MAX = 100;
/** Of parameters that do not fit the variables that they are for: nothing was proven with them, nor will be. */
export const UNFIT = 'unfit';

type Params = Readonly<Record<string, ParamValue>>;

interface ReadObject {
  readonly needs: ObjectNeeds;
  readonly globals: (manifest: ProbeManifest, params: Params) => string;
}

/** What a release needs, read from its objects, which never change. */
@Injectable()
export class ReleaseReader {
  private readonly log = new Logger('ReleaseReader');
  /** Oldest first. */
  private readonly objects = new Map<string, ReadObject | 'unreadable'>();

  constructor(private readonly blobs: BlobStore) {}

  /** By the architecture of a kernel. `params` were checked before. */
  async factsFor(
    release: CatalogueRelease,
    params: Params,
    arches: Iterable<string>,
  ): Promise<(arch: string) => ReleaseFacts> {
    const { manifest } = release;
    const read = new Map<string, ReadObject | 'unreadable'>();
    for (const arch of new Set(arches)) {
      const object = objectFor(release, arch);
      if (object) read.set(arch, await this.objectOf(object.digest));
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
      const object = read.get(arch);
      if (typeof object !== 'object') return { ...shared, object, changedParams: [], globals: DEFAULT_GLOBALS };
      const { needs, globals } = object;
      const changedParams = changed.filter((name) => needs.tunables.includes(name));
      return { ...shared, object: needs, changedParams, globals: globals(manifest, chosen) };
    };
  }

  private async objectOf(digest: string): Promise<ReadObject | 'unreadable'> {
    const kept = this.objects.get(digest);
    if (kept) return kept;
    const bytes = await this.blobs.get(digest);
    const object = bytes ? this.read(digest, bytes) : 'unreadable';
    const oldest = this.objects.keys().next();
    if (this.objects.size >= OBJECTS_KEPT_MAX && !oldest.done) this.objects.delete(oldest.value);
    this.objects.set(digest, object);
    return object;
  }

  private read(digest: string, bytes: Buffer): ReadObject | 'unreadable' {
    try {
      const object = readObject(bytes);
      const globals = (manifest: ProbeManifest, params: Params) => globalsOf(object, manifest, params);
      return { needs: objectNeeds(digest, object), globals };
    } catch (error) {
      if (!(error instanceof BtfError)) throw error;
      this.log.warn(`object ${digest} cannot be read: ${error.message}`);
      return 'unreadable';
    }
  }
}

function globalsOf(object: BpfObjectFile, manifest: ProbeManifest, params: Params): string {
  try {
    return globalsDigest(object, manifest, params);
  } catch (error) {
    if (!(error instanceof ParamError)) throw error;
    return UNFIT;
  }
}

/** @throws BtfError */
export function objectNeeds(digest: string, object: BpfObjectFile): ObjectNeeds {
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
