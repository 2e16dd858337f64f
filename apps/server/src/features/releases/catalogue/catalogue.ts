import { Injectable } from '@nestjs/common';
import { parseManifest, type ProbeManifest } from '@bpfleet/probe';
import { notFound } from '../../../platform/errors.js';
import { PrismaService } from '../../../platform/prisma/prisma.service.js';

export interface ReleaseObject {
  readonly arch: string;
  readonly digest: string;
  readonly bytes: number;
}

/** A release as other features need it. It never changes, so it is parsed once per process. */
export interface CatalogueRelease {
  readonly id: string;
  /** Of the signed envelope, which is a blob. */
  readonly digest: string;
  readonly probe: string;
  readonly version: string;
  readonly manifest: ProbeManifest;
  readonly objects: readonly ReleaseObject[];
}

/** What the kernel that the server runs on said when the release was published, or why it could not be asked. */
export interface ServerVerdict {
  /** All three null when no kernel could be asked. */
  readonly kernelRelease: string | null;
  readonly kernelArch: string | null;
  readonly kernelBuildId: string | null;
  readonly verdict: 'accepted' | 'refused' | 'unproven';
  readonly reason: string | null;
  readonly programs: readonly { readonly name: string; readonly verdict: string }[];
  readonly provenAt: Date;
}

const CACHED_MAX = 500;
const VERDICTS_MAX = 200;

/** Releases by id or digest, with a bounded cache. */
@Injectable()
export class ReleaseCatalogue {
  private readonly byId = new Map<string, CatalogueRelease>();

  constructor(private readonly prisma: PrismaService) {}

  /** Throws RELEASE_UNKNOWN (404). */
  async get(id: string): Promise<CatalogueRelease> {
    const release = await this.find(id);
    if (!release) throw notFound('release', id);
    return release;
  }

  async find(id: string): Promise<CatalogueRelease | undefined> {
    const cached = this.byId.get(id);
    if (cached) return cached;
    const row = await this.prisma.release.findUnique({
      where: { id },
      select: { id: true, digest: true, probe: true, version: true, manifest: true, objects: true },
    });
    if (!row) return undefined;
    const release: CatalogueRelease = {
      id: row.id,
      digest: row.digest,
      probe: row.probe,
      version: row.version,
      manifest: parseManifest(row.manifest),
      objects: row.objects as unknown as ReleaseObject[],
    };
    this.remember(release);
    return release;
  }

  /** Newest first. */
  async serverVerdicts(id: string): Promise<ServerVerdict[]> {
    const rows = await this.prisma.verdict.findMany({
      where: { releaseId: id },
      orderBy: { provenAt: 'desc' },
      take: VERDICTS_MAX,
    });
    return rows as unknown as ServerVerdict[];
  }

  /** Whether some release's envelope has this digest. */
  async isRelease(digest: string): Promise<boolean> {
    return (await this.prisma.release.count({ where: { digest } })) > 0;
  }

  /** Whether some release is made of the object with this digest: devices may fetch these blobs and no others. */
  async isObject(digest: string): Promise<boolean> {
    for (const release of this.byId.values()) {
      if (release.objects.some((object) => object.digest === digest)) return true;
    }
    const row = await this.prisma.release.findFirst({
      where: { objects: { array_contains: [{ digest }] } },
      select: { id: true },
    });
    return row !== null && (await this.find(row.id)) !== undefined;
  }

  private remember(release: CatalogueRelease): void {
    const oldest = this.byId.keys().next();
    if (this.byId.size >= CACHED_MAX && !oldest.done) this.byId.delete(oldest.value);
    this.byId.set(release.id, release);
  }
}
