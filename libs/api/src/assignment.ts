import { z } from 'zod';
import { deviceIdSchema } from './device.js';

const paramValueSchema = z.union([z.number(), z.boolean(), z.string().max(256)]);
export const paramsSchema = z.record(z.string().max(64), paramValueSchema);

/** `arch=arm64 and kernel>=5.10 and site in (oslo,bergen) and btf`; empty or `all` selects every active device. */
export const selectorSchema = z.string().max(1000);

export const previewRequestSchema = z.strictObject({ selector: selectorSchema, releaseId: z.string().optional() });
export const previewSchema = z.object({
  devices: z.number(),
  takes: z.number(),
  refuses: z.number(),
  unknown: z.number(),
  groups: z.array(
    z.object({
      kernelRelease: z.string(),
      arch: z.string(),
      devices: z.number(),
      verdict: z.enum(['takes', 'refuses', 'unknown']),
      reason: z.string(),
    }),
  ),
  /** At most ten, to recognise what the selector caught. */
  sample: z.array(z.object({ id: deviceIdSchema, name: z.string() })),
});
export type Preview = z.infer<typeof previewSchema>;

export const createAssignmentRequestSchema = z.strictObject({
  releaseId: z.string(),
  selector: selectorSchema,
  params: paramsSchema.default({}),
});
export const assignmentSchema = z.object({
  id: z.string(),
  releaseId: z.string(),
  probe: z.string(),
  version: z.string(),
  selector: z.string(),
  params: paramsSchema,
  state: z.enum(['active', 'withdrawn']),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  devices: z.number(),
  runs: z.record(z.string(), z.number()),
});
export type Assignment = z.infer<typeof assignmentSchema>;
