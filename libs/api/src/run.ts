import { z } from 'zod';
import { paramsSchema } from './assignment.js';
import { deviceIdSchema } from './device.js';

export const runStates = [
  'PENDING',
  'OFFERED',
  'ACCEPTED',
  'FETCHING',
  'VERIFYING',
  'LOADED',
  'ATTACHED',
  'SOAKED',
  'SUCCEEDED',
  'REJECTED',
  'FAILED',
  'TIMED_OUT',
  'SUSPECT_CRASH',
  'DEFERRED',
  'ENDED',
  'REMOVED',
  'SUPERSEDED',
  'ROLLED_BACK',
] as const;
export const runStateSchema = z.enum(runStates);
export type RunState = z.infer<typeof runStateSchema>;

export const runSchema = z.object({
  id: z.string(),
  device: deviceIdSchema,
  deviceName: z.string(),
  releaseId: z.string(),
  probe: z.string(),
  version: z.string(),
  params: paramsSchema,
  kind: z.enum(['assignment', 'debug']),
  intent: z.string(),
  state: runStateSchema,
  error: z.object({ code: z.string(), message: z.string(), log: z.string().nullable() }).nullable(),
  /** How the device holds the links: `pinned` outlive the agent, `process` end with it, `mixed` is some of each. */
  hold: z.string().nullable(),
  stats: z
    .object({
      measured: z.boolean(),
      runCount: z.number(),
      runTimeNs: z.number(),
      mapBytes: z.number(),
      eventsSeen: z.number(),
      drops: z.object({ kernel: z.number().nullable(), rate: z.number(), spool: z.number() }),
    })
    .nullable(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  attachedAt: z.iso.datetime().nullable(),
  /** Debug runs: when it ends by itself. */
  endsAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
});
export type Run = z.infer<typeof runSchema>;

export const runTransitionSchema = z.object({
  at: z.iso.datetime(),
  from: z.string().nullable(),
  to: runStateSchema,
  reason: z.string(),
});
export const runDetailSchema = runSchema.extend({ history: z.array(runTransitionSchema) });

export const runListQuerySchema = z.strictObject({
  device: deviceIdSchema.optional(),
  release: z.string().max(64).optional(),
  kind: z.enum(['assignment', 'debug']).optional(),
  /** `live`: not in a final state. */
  live: z.enum(['true', 'false']).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

export const createDebugRunRequestSchema = z.strictObject({
  device: deviceIdSchema,
  releaseId: z.string(),
  minutes: z.number().int().min(1).max(60).default(10),
  params: paramsSchema.default({}),
});
