import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Release, User, Verdict } from '@bpfleet/api';
import type { ProbeManifest } from '@bpfleet/probe';
import type { BodyOf } from '../../../http/route.js';
import { Clock } from '../../../platform/clock.js';
import { DomainError } from '../../../platform/errors.js';
import { LiveBus } from '../../../platform/live/live-bus.js';
import { Prisma } from '../../../platform/prisma/generated/client.js';
import { sqlOf } from '../../../platform/prisma/prisma-sql.js';
import { PrismaService } from '../../../platform/prisma/prisma.service.js';
import { AuditLog } from '../../audit/log/index.js';
import { EventTables, TelemetryError } from '../../telemetry/index.js';
import { Releases } from '../releases.service.js';
import { ObjectBuilder, type Finding } from './build-objects.js';
import { ObjectChecker, readManifest, type Checked } from './check-objects.js';
import { contentDigest } from './content-digest.js';
import { FleetReads } from './fleet-reads.js';
import { Prover } from './prover.js';
import { verifierRefusal } from './refusal.js';
import { ReleaseSigner, type SignedRelease } from './sign-release.js';

export interface Published {
  readonly release: Release;
  /** False when the same was published before. */
  readonly created: boolean;
}

interface Prepared {
  readonly manifest: ProbeManifest;
  readonly checked: Checked;
  readonly verdict: Verdict;
  readonly signed: SignedRelease;
  readonly warnings: readonly Finding[];
}

/** From source to a release that will load (DESIGN §4), each step once and in this order; nothing is stored before all have passed. */
@Injectable()
export class Publisher {
  constructor(
    private readonly prisma: PrismaService,
    private readonly clock: Clock,
    private readonly live: LiveBus,
    private readonly builder: ObjectBuilder,
    private readonly checker: ObjectChecker,
    private readonly fleetReads: FleetReads,
    private readonly prover: Prover,
    private readonly signer: ReleaseSigner,
    private readonly eventTables: EventTables,
    private readonly releases: Releases,
    private readonly audit: AuditLog,
  ) {}

  /** Throws MANIFEST_INVALID, PACKAGE_INVALID, COMPILE_FAILED, OBJECT_INVALID, LINT_FAILED, VERIFIER_REFUSED or RELEASE_EXISTS. */
  async publish(author: User, body: BodyOf<'publish'>): Promise<Published> {
    const manifest = readManifest(body.manifest);
    const content = contentDigest(body);
    const existing = await this.existing(manifest, content);
    if (existing) return existing;
    const built = await this.builder.build(manifest.name, body);
    const checked = await this.checker.check(manifest, built.objects);
    const verdict = await this.prover.prove(author, manifest, checked.objects);
    if (verdict.verdict === 'refused') throw verifierRefusal(verdict);
    const { name: probe, version } = manifest;
    const signed = await this.signer.sign({ probe, version, manifest: body.manifest, objects: built.objects });
    const warnings = [...built.warnings, ...checked.warnings, ...(await this.fleetReads.warnings(checked.objects))];
    const prepared = { manifest, checked, verdict, signed, warnings };
    return this.store(author.username, body.manifest, content, prepared);
  }

  /** The release of this probe and version, if its content is the same; RELEASE_EXISTS (409) when it is another. */
  private async existing({ name, version }: ProbeManifest, content: string): Promise<Published | undefined> {
    const row = await this.prisma.release.findUnique({
      where: { probe_version: { probe: name, version } },
      select: { id: true, contentDigest: true },
    });
    if (!row) return undefined;
    if (row.contentDigest === content) return { release: await this.releases.get(row.id), created: false };
    throw new DomainError(
      409,
      'RELEASE_EXISTS',
      `${name} ${version} was published with other content; a release never changes: raise \`version\` in probe.yaml`,
      { release: row.id },
    );
  }

  private async store(actor: string, manifestText: string, content: string, prepared: Prepared): Promise<Published> {
    const { manifest, checked, verdict, signed, warnings } = prepared;
    const id = randomUUID();
    // Before the row: a release that can be assigned has somewhere to put its events. Tables without a release do no harm.
    await this.ensureTables(id, manifest, checked);
    const { name: probe, version } = manifest;
    const data = {
      id,
      probe,
      version,
      summary: manifest.summary,
      digest: signed.digest,
      manifest: manifestText,
      objects: signed.objects,
      keyids: [...signed.keyids],
      mapBytes: checked.mapBytes,
      warnings: json(warnings),
      events: json(checked.events),
      contentDigest: content,
      createdBy: actor,
      createdAt: this.clock.now(),
      verdicts: { create: verdictRow(verdict) },
    };
    const details = { probe, version, digest: signed.digest, verdict: verdict.verdict };
    try {
      await this.prisma.$transaction(async (transaction) => {
        await transaction.release.create({ data });
        await this.audit.record(sqlOf(transaction), { actor, action: 'release.publish', subject: id, details });
      });
    } catch (error) {
      // Someone published the same version meanwhile: theirs is the release, ours the same or a conflict.
      const winner = isUniqueViolation(error) ? await this.existing(manifest, content) : undefined;
      if (winner) return winner;
      throw error;
    }
    await this.live.publish({ type: 'release', release: id, probe, version });
    return { release: await this.releases.get(id), created: true };
  }

  private async ensureTables(releaseId: string, manifest: ProbeManifest, checked: Checked): Promise<void> {
    try {
      for (const { object } of checked.objects) await this.eventTables.ensureFor({ releaseId, manifest, object });
    } catch (error) {
      if (!(error instanceof TelemetryError)) throw error;
      throw new DomainError(error.code === 'TELEMETRY_LIMIT' ? 409 : 503, error.code, error.message, error.facts);
    }
  }
}

function verdictRow(verdict: Verdict) {
  return {
    kernelRelease: verdict.kernel?.release ?? null,
    kernelArch: verdict.kernel?.arch ?? null,
    kernelBuildId: verdict.kernel?.buildId ?? null,
    verdict: verdict.verdict,
    reason: verdict.reason,
    loadMs: verdict.loadMs,
    programs: json(verdict.programs),
    provenAt: new Date(verdict.provenAt),
  };
}

/** A value without class or undefined, as jsonb takes it. */
function json(value: unknown): Prisma.InputJsonValue {
  return JSON.parse(JSON.stringify(value)) as Prisma.InputJsonValue;
}

function isUniqueViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
}
