import { z } from 'zod';
import { assignmentSchema, createAssignmentRequestSchema } from './assignment.js';
import { auditListSchema, auditQuerySchema, auditVerificationSchema, verifyAuditQuerySchema } from './audit.js';
import {
  createEnrolmentTokenRequestSchema,
  createdEnrolmentTokenSchema,
  deviceIdSchema,
  deviceListQuerySchema,
  deviceListSchema,
  deviceSchema,
  enrolmentTokenSchema,
  enrolRequestSchema,
  enrolResponseSchema,
  revokeDeviceRequestSchema,
  updateDeviceRequestSchema,
} from './device.js';
import { addBtfQuerySchema, deviceKernelSchema, kernelBtfSchema, kernelSchema } from './kernel.js';
import {
  kernelUpgradeRequestSchema,
  kernelUpgradeSchema,
  preflightRequestSchema,
  preflightSchema,
} from './preflight.js';
import {
  addLabFileQuerySchema,
  addLabKernelRequestSchema,
  labFileSchema,
  labKernelSchema,
  labSchema,
  proveInLabRequestSchema,
  proveInLabResponseSchema,
  releaseOnKernelSchema,
} from './lab.js';
import { probeSchema, publishRequestSchema, releaseSchema } from './release.js';
import { createDebugRunRequestSchema, runDetailSchema, runListQuerySchema, runSchema } from './run.js';
import {
  apiTokenSchema,
  changePasswordRequestSchema,
  createApiTokenRequestSchema,
  createdApiTokenSchema,
  loginRequestSchema,
  userSchema,
} from './session.js';
import {
  eventsQuerySchema,
  eventsResponseSchema,
  heatmapQuerySchema,
  heatmapResponseSchema,
  metricInfoSchema,
  overviewSchema,
  profileQuerySchema,
  profileResponseSchema,
  seriesQuerySchema,
  seriesResponseSchema,
} from './telemetry.js';

const none = z.undefined();
/** Bytes as they are: sent as application/octet-stream. */
const binary = z.custom<Uint8Array>((body) => body instanceof Uint8Array, 'the body is bytes');
const items = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });
const deviceQuery = z.strictObject({ device: deviceIdSchema });

function route<B extends z.ZodType, Q extends z.ZodType, R extends z.ZodType>(
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  shapes: { body: B; query: Q; response: R },
) {
  return { method, path, ...shapes };
}

/** The whole HTTP contract: method, path (`:name` is a path parameter), and what goes in and out. */
export const routes = {
  health: route('GET', '/api/health', {
    body: none,
    query: none,
    response: z.object({
      status: z.enum(['ok', 'degraded']),
      database: z.boolean(),
      broker: z.boolean(),
      /** What keeps telemetry from being stored, or from going when it is old. Null while nobody can say. */
      ingest: z
        .object({
          /** Age of the batch that has waited longest for a writer that cannot write it. */
          oldestUnwrittenSeconds: z.number().nullable(),
          /** Those that lack a partition for rows that came in the last minutes. */
          tablesWithoutRoom: z.array(z.string()),
          /** Of the last round of maintenance, in sentences. */
          problems: z.array(z.string()),
        })
        .nullable(),
      version: z.string(),
    }),
  }),
  login: route('POST', '/api/session', { body: loginRequestSchema, query: none, response: userSchema }),
  me: route('GET', '/api/session', { body: none, query: none, response: userSchema }),
  logout: route('DELETE', '/api/session', { body: none, query: none, response: z.unknown() }),
  changePassword: route('POST', '/api/session/password', {
    body: changePasswordRequestSchema,
    query: none,
    response: z.unknown(),
  }),
  createApiToken: route('POST', '/api/tokens', {
    body: createApiTokenRequestSchema,
    query: none,
    response: createdApiTokenSchema,
  }),
  listApiTokens: route('GET', '/api/tokens', { body: none, query: none, response: items(apiTokenSchema) }),
  revokeApiToken: route('DELETE', '/api/tokens/:id', { body: none, query: none, response: z.unknown() }),

  listDevices: route('GET', '/api/devices', { body: none, query: deviceListQuerySchema, response: deviceListSchema }),
  getDevice: route('GET', '/api/devices/:id', { body: none, query: none, response: deviceSchema }),
  updateDevice: route('PATCH', '/api/devices/:id', {
    body: updateDeviceRequestSchema,
    query: none,
    response: deviceSchema,
  }),
  revokeDevice: route('POST', '/api/devices/:id/revoke', {
    body: revokeDeviceRequestSchema,
    query: none,
    response: deviceSchema,
  }),
  getDeviceKernel: route('GET', '/api/devices/:id/kernel', { body: none, query: none, response: deviceKernelSchema }),
  listKernels: route('GET', '/api/kernels', { body: none, query: none, response: items(kernelSchema) }),
  listBtf: route('GET', '/api/btf', { body: none, query: none, response: items(kernelBtfSchema) }),
  addBtf: route('POST', '/api/btf', { body: binary, query: addBtfQuerySchema, response: kernelBtfSchema }),
  getLab: route('GET', '/api/lab', { body: none, query: none, response: labSchema }),
  addLabFile: route('POST', '/api/lab/files', { body: binary, query: addLabFileQuerySchema, response: labFileSchema }),
  addLabKernel: route('POST', '/api/lab/kernels', {
    body: addLabKernelRequestSchema,
    query: none,
    response: labKernelSchema,
  }),
  /** By id or name. */
  removeLabKernel: route('DELETE', '/api/lab/kernels/:id', {
    body: none,
    query: none,
    response: z.object({ id: z.string(), name: z.string() }),
  }),
  proveInLab: route('POST', '/api/lab/proofs', {
    body: proveInLabRequestSchema,
    query: none,
    response: proveInLabResponseSchema,
  }),
  createEnrolmentToken: route('POST', '/api/enrolment-tokens', {
    body: createEnrolmentTokenRequestSchema,
    query: none,
    response: createdEnrolmentTokenSchema,
  }),
  listEnrolmentTokens: route('GET', '/api/enrolment-tokens', {
    body: none,
    query: none,
    response: items(enrolmentTokenSchema),
  }),
  revokeEnrolmentToken: route('DELETE', '/api/enrolment-tokens/:id', {
    body: none,
    query: none,
    response: z.unknown(),
  }),
  enrol: route('POST', '/api/enrol', { body: enrolRequestSchema, query: none, response: enrolResponseSchema }),

  listProbes: route('GET', '/api/probes', { body: none, query: none, response: items(probeSchema) }),
  listReleases: route('GET', '/api/releases', {
    body: none,
    query: z.strictObject({ probe: z.string().max(64).optional() }),
    response: items(releaseSchema),
  }),
  getRelease: route('GET', '/api/releases/:id', { body: none, query: none, response: releaseSchema }),
  getReleaseKernels: route('GET', '/api/releases/:id/kernels', {
    body: none,
    query: none,
    response: items(releaseOnKernelSchema),
  }),
  publish: route('POST', '/api/releases', { body: publishRequestSchema, query: none, response: releaseSchema }),

  preflight: route('POST', '/api/preflight', {
    body: preflightRequestSchema,
    query: none,
    response: preflightSchema,
  }),
  kernelUpgrade: route('POST', '/api/preflight/kernel-upgrade', {
    body: kernelUpgradeRequestSchema,
    query: none,
    response: kernelUpgradeSchema,
  }),
  listAssignments: route('GET', '/api/assignments', { body: none, query: none, response: items(assignmentSchema) }),
  getAssignment: route('GET', '/api/assignments/:id', { body: none, query: none, response: assignmentSchema }),
  createAssignment: route('POST', '/api/assignments', {
    body: createAssignmentRequestSchema,
    query: none,
    response: assignmentSchema,
  }),
  withdrawAssignment: route('DELETE', '/api/assignments/:id', { body: none, query: none, response: assignmentSchema }),

  listRuns: route('GET', '/api/runs', { body: none, query: runListQuerySchema, response: items(runSchema) }),
  getRun: route('GET', '/api/runs/:id', { body: none, query: none, response: runDetailSchema }),
  createDebugRun: route('POST', '/api/debug-runs', {
    body: createDebugRunRequestSchema,
    query: none,
    response: runSchema,
  }),
  stopDebugRun: route('POST', '/api/debug-runs/:id/stop', { body: none, query: none, response: runSchema }),

  listAudit: route('GET', '/api/audit', { body: none, query: auditQuerySchema, response: auditListSchema }),
  verifyAudit: route('GET', '/api/audit/verification', {
    body: none,
    query: verifyAuditQuerySchema,
    response: auditVerificationSchema,
  }),

  overview: route('GET', '/api/telemetry/overview', { body: none, query: none, response: overviewSchema }),
  listMetrics: route('GET', '/api/telemetry/metrics', {
    body: none,
    query: deviceQuery,
    response: items(metricInfoSchema),
  }),
  series: route('GET', '/api/telemetry/series', {
    body: none,
    query: seriesQuerySchema,
    response: seriesResponseSchema,
  }),
  heatmap: route('GET', '/api/telemetry/heatmap', {
    body: none,
    query: heatmapQuerySchema,
    response: heatmapResponseSchema,
  }),
  events: route('GET', '/api/telemetry/events', {
    body: none,
    query: eventsQuerySchema,
    response: eventsResponseSchema,
  }),
  profile: route('GET', '/api/telemetry/profile', {
    body: none,
    query: profileQuerySchema,
    response: profileResponseSchema,
  }),
} as const;

export type Routes = typeof routes;
export type RouteName = keyof Routes;
