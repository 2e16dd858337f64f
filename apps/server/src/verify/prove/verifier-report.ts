import { z } from 'zod';

// apps/verifier says this in its report.ts; the server cannot import an app, so it checks what it is told.
const nameSchema = z.string().max(256);
const logSchema = z.string().max(512 * 1024);
const countSchema = z.number().int().nonnegative();

const kernelSchema = z.object({
  release: z.string().max(256),
  arch: z.string().max(64),
  buildId: z
    .string()
    .regex(/^[0-9a-f]{0,128}$/)
    .nullable(),
  btf: z.boolean(),
  jit: z.string().max(16).nullable(),
  lsm: z.string().max(1024).nullable(),
});

const programSchema = z.object({
  name: nameSchema,
  section: nameSchema,
  type: nameSchema,
  verdict: z.enum(['accepted', 'refused', 'unsupported', 'skipped']),
  errno: countSchema.optional(),
  errnoName: z.string().max(64).optional(),
  /** The verifier's words, or libbpf's when the verifier was not reached. */
  log: logSchema.optional(),
  instructionCount: countSchema,
  verifiedInstructions: countSchema.optional(),
  stackDepthBytes: countSchema.optional(),
  jitedBytes: countSchema.optional(),
});

const mapSchema = z.object({ name: nameSchema, type: nameSchema, bytes: countSchema.optional() });

/** What one kernel says about one object. `unable` is no verdict: the machine, not the object, is the reason. */
export const verifierReportSchema = z.object({
  kernel: kernelSchema,
  verdict: z.enum(['accepted', 'refused', 'unable']),
  reason: z
    .string()
    .max(64 * 1024)
    .optional(),
  loadMs: z.number().nonnegative(),
  programs: z.array(programSchema).max(4096),
  maps: z.array(mapSchema).max(4096),
});

export type VerifierReport = z.infer<typeof verifierReportSchema>;
export type ProgramReport = VerifierReport['programs'][number];

const answersSchema = z.record(nameSchema, z.enum(['yes', 'no', 'unknown']));

/** What the kernel can do, by the names that agents report. */
export const featuresReportSchema = z.object({
  kernelCan: z.object({ programTypes: answersSchema, mapTypes: answersSchema, features: answersSchema }),
});

export type FeaturesReport = z.infer<typeof featuresReportSchema>;

/** The verifier could not make sense of what it was asked, such as an object that libbpf cannot open. */
export const badRequestSchema = z.object({
  error: z.object({ code: z.string().max(64), message: z.string().max(64 * 1024) }),
});
