import type { Release, Run } from '@bpfleet/api';
import { useQueries } from '@tanstack/react-query';
import { releaseQuery } from '../../api/queries.js';

/** At most so many releases of a device are read to learn which events and profiles it may have. */
const releasesMax = 40;

/** Releases that ran or run here, newest run first, one per probe. */
export function releaseIdsOf(runs: readonly Run[]): string[] {
  const byProbe = new Map<string, string>();
  for (const run of [...runs].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))) {
    if (!byProbe.has(run.probe)) byProbe.set(run.probe, run.releaseId);
  }
  return [...byProbe.values()].slice(0, releasesMax);
}

export function useRunReleases(runs: readonly Run[] | undefined): { releases: Release[]; isPending: boolean } {
  return useQueries({
    queries: releaseIdsOf(runs ?? []).map((id) => ({ ...releaseQuery(id), staleTime: 5 * 60_000 })),
    combine: (results) => ({
      releases: results.flatMap((result) => (result.data ? [result.data] : [])),
      isPending: runs === undefined || results.some((result) => result.isPending),
    }),
  });
}
