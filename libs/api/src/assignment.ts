import { z } from 'zod';

const paramValueSchema = z.union([z.number(), z.boolean(), z.string().max(256)]);
export const paramsSchema = z.record(z.string().max(64), paramValueSchema);

/** `arch=arm64 and kernel>=5.10 and site in (oslo,bergen) and btf`; empty or `all` selects every active device. */
export const selectorSchema = z.string().max(1000);

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
