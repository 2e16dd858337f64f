import type { CallArguments, Device } from '@bpfleet/api';
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { windowOf, type TimeSearch } from '../ui/time-window.js';
import { api } from './client.js';

const devicesPerPage = 200;
const auditEntriesPerPage = 100;
/** What a live view is read again after when no live event says so sooner. */
const liveRefetchMs = 10_000;

export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: () => api.call('me', {}),
  staleTime: 60_000,
  retry: false,
});

export const overviewQuery = queryOptions({
  queryKey: ['overview'],
  queryFn: () => api.call('overview', {}),
  refetchInterval: liveRefetchMs,
});

export const devicesQuery = (selector: string) =>
  infiniteQueryOptions({
    queryKey: ['devices', selector],
    queryFn: ({ pageParam }) =>
      api.call('listDevices', {
        query: { selector: selector || undefined, cursor: pageParam || undefined, limit: devicesPerPage },
      }),
    initialPageParam: '',
    getNextPageParam: (last) => last.nextCursor ?? undefined,
    placeholderData: (previous) => previous,
  });

export const deviceQuery = (id: string) =>
  queryOptions({ queryKey: ['device', id], queryFn: () => api.call('getDevice', { path: { id } }) });

export const deviceKernelQuery = (id: string) =>
  queryOptions({
    queryKey: ['device', id, 'kernel'],
    queryFn: async () => (await api.call('getDeviceKernel', { path: { id } })).kernel,
    refetchInterval: liveRefetchMs,
  });

export const kernelsQuery = queryOptions({
  queryKey: ['kernels'],
  queryFn: async () => (await api.call('listKernels', {})).items,
  refetchInterval: liveRefetchMs,
});

export const labQuery = queryOptions({
  queryKey: ['lab'],
  queryFn: () => api.call('getLab', {}),
  refetchInterval: liveRefetchMs,
});

export const releaseKernelsQuery = (id: string) =>
  queryOptions({
    queryKey: ['release', id, 'kernels'],
    queryFn: async () => (await api.call('getReleaseKernels', { path: { id } })).items,
    refetchInterval: liveRefetchMs,
  });

export const runsQuery = (query: CallArguments<'listRuns'>['query']) =>
  queryOptions({
    queryKey: ['runs', query ?? {}],
    queryFn: async () => (await api.call('listRuns', { query: query ?? {} })).items,
    refetchInterval: liveRefetchMs,
  });

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ['run', id],
    queryFn: () => api.call('getRun', { path: { id } }),
    refetchInterval: liveRefetchMs,
  });

export const probesQuery = queryOptions({
  queryKey: ['probes'],
  queryFn: async () => (await api.call('listProbes', {})).items,
});

export const releasesQuery = (probe?: string) =>
  queryOptions({
    queryKey: ['releases', probe ?? ''],
    queryFn: async () => (await api.call('listReleases', { query: probe ? { probe } : {} })).items,
  });

export const releaseQuery = (id: string) =>
  queryOptions({ queryKey: ['release', id], queryFn: () => api.call('getRelease', { path: { id } }) });

export const assignmentsQuery = queryOptions({
  queryKey: ['assignments'],
  queryFn: async () => (await api.call('listAssignments', {})).items,
  refetchInterval: liveRefetchMs,
});

/** Kernels that nobody had looked at are looked at some at a time: each question brings the answer on. */
const pendingRefetchMs = 1_500;
const whilePending = ({ state }: { state: { data?: { pending: number } | undefined } }) =>
  (state.data?.pending ?? 0) > 0 ? pendingRefetchMs : false;

export const preflightQuery = (body: NonNullable<CallArguments<'preflight'>['body']>) =>
  queryOptions({
    queryKey: ['preflight', body],
    queryFn: () => api.call('preflight', { body }),
    placeholderData: (previous) => previous,
    staleTime: 5_000,
    refetchInterval: whilePending,
  });

export const kernelUpgradeQuery = (selector: string, target: { series: string } | { kernelGroupId: string }) =>
  queryOptions({
    queryKey: ['kernel-upgrade', selector, target],
    queryFn: () => api.call('kernelUpgrade', { body: { selector, ...target } }),
    placeholderData: (previous) => previous,
    staleTime: 5_000,
    refetchInterval: whilePending,
  });

export const apiTokensQuery = queryOptions({
  queryKey: ['api-tokens'],
  queryFn: async () => (await api.call('listApiTokens', {})).items,
});

export const enrolmentTokensQuery = queryOptions({
  queryKey: ['enrolment-tokens'],
  queryFn: async () => (await api.call('listEnrolmentTokens', {})).items,
});

export const auditQuery = (filter: { actor?: string | undefined; action?: string | undefined }) =>
  infiniteQueryOptions({
    queryKey: ['audit', filter],
    queryFn: ({ pageParam }) =>
      api.call('listAudit', { query: { ...filter, cursor: pageParam || undefined, limit: auditEntriesPerPage } }),
    initialPageParam: '',
    getNextPageParam: (last) => last.nextCursor ?? undefined,
    placeholderData: (previous) => previous,
  });

export const metricsQuery = (device: string) =>
  queryOptions({
    queryKey: ['telemetry', device, 'metrics'],
    queryFn: async () => (await api.call('listMetrics', { query: { device } })).items,
    refetchInterval: 30_000,
  });

/** A window in the past does not change; one that ends now is read again. */
const refetchOf = (time: TimeSearch) => (time.from === undefined ? liveRefetchMs : false);

export const seriesQuery = (device: string, metric: string, time: TimeSearch, limit: number) =>
  queryOptions({
    queryKey: ['telemetry', device, 'series', metric, time, limit],
    queryFn: () => api.call('series', { query: { device, metric, limit, ...windowOf(time, Date.now()) } }),
    refetchInterval: refetchOf(time),
    placeholderData: (previous) => previous,
  });

export const heatmapQuery = (device: string, metric: string, time: TimeSearch) =>
  queryOptions({
    queryKey: ['telemetry', device, 'heatmap', metric, time],
    queryFn: () => api.call('heatmap', { query: { device, metric, ...windowOf(time, Date.now()) } }),
    refetchInterval: refetchOf(time),
    placeholderData: (previous) => previous,
  });

export const profileQuery = (device: string, probe: string, profile: string, time: TimeSearch) =>
  queryOptions({
    queryKey: ['telemetry', device, 'profile', probe, profile, time],
    queryFn: () => api.call('profile', { query: { device, probe, profile, ...windowOf(time, Date.now()) } }),
    refetchInterval: time.from === undefined ? 30_000 : false,
    placeholderData: (previous) => previous,
  });

export type DevicePages = { pages: { items: Device[]; nextCursor: string | null; total: number }[] };
