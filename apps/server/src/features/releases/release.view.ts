import type { Release, Verdict } from '@bpfleet/api';
import { parseManifest, type ProbeManifest } from '@bpfleet/probe';

/** A row of `Release` with its verdicts, newest first. Rows do not leave this feature. */
export interface ReleaseRow {
  id: string;
  probe: string;
  version: string;
  summary: string;
  digest: string;
  manifest: string;
  objects: unknown;
  keyids: string[];
  mapBytes: bigint;
  warnings: unknown;
  events: unknown;
  createdBy: string;
  createdAt: Date;
  verdicts: VerdictRow[];
}

export interface VerdictRow {
  kernelRelease: string | null;
  kernelArch: string | null;
  kernelBuildId: string | null;
  verdict: string;
  reason: string | null;
  loadMs: number | null;
  programs: unknown;
  provenAt: Date;
}

export function releaseView(row: ReleaseRow, given: { logs: boolean }): Release {
  const manifest = parseManifest(row.manifest);
  return {
    id: row.id,
    probe: row.probe,
    version: row.version,
    summary: row.summary,
    digest: row.digest,
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
    signature: { state: row.keyids.length > 0 ? 'signed' : 'unsigned', keyids: row.keyids },
    manifest: row.manifest,
    params: paramsOf(manifest),
    objects: row.objects as Release['objects'],
    mapBytes: Number(row.mapBytes),
    metrics: manifest.metrics.map(({ name, type, unit, help }) => ({
      name,
      type,
      // A metric named in seconds is told in seconds, whatever the program counts in.
      unit: name.endsWith('_seconds') ? 's' : (unit ?? null),
      help: help ?? null,
    })),
    events: row.events as Release['events'],
    profiles: manifest.profiles.map(({ name }) => ({ name })),
    warnings: row.warnings as Release['warnings'],
    verdicts: row.verdicts.map((verdict) => verdictView(verdict, given.logs)),
  };
}

/** Logs are long: a list goes without them. */
function verdictView(row: VerdictRow, logs: boolean): Verdict {
  const programs = row.programs as Verdict['programs'];
  const { kernelRelease: release, kernelArch: arch, kernelBuildId: buildId } = row;
  return {
    kernel: release === null || arch === null ? null : { release, arch, buildId },
    verdict: row.verdict as Verdict['verdict'],
    reason: row.reason,
    loadMs: row.loadMs,
    programs: logs ? programs : programs.map((program) => ({ ...program, log: null })),
    provenAt: row.provenAt.toISOString(),
  };
}

function paramsOf(manifest: ProbeManifest): Release['params'] {
  return Object.entries(manifest.params).map(([name, param]) => ({
    name,
    type: param.type ?? (typeof param.default as 'number' | 'boolean' | 'string'),
    default: param.default,
    unit: param.unit ?? null,
    help: param.help ?? null,
  }));
}
