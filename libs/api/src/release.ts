import { z } from 'zod';

export const diagnosticSchema = z.object({
  file: z.string(),
  line: z.number(),
  column: z.number(),
  severity: z.string(),
  message: z.string(),
  sourceLine: z.string().optional(),
});
export const findingSchema = z.object({
  severity: z.enum(['error', 'warning']),
  rule: z.string(),
  message: z.string(),
});

export const explanationSchema = z.object({
  class: z.string(),
  sentence: z.string(),
  advice: z.string(),
  source: z.object({ file: z.string(), line: z.number(), text: z.string() }).optional(),
});

export const programVerdictSchema = z.object({
  name: z.string(),
  section: z.string(),
  type: z.string(),
  verdict: z.enum(['accepted', 'refused', 'unsupported', 'skipped']),
  instructionCount: z.number().nullable(),
  verifiedInstructions: z.number().nullable(),
  stackDepthBytes: z.number().nullable(),
  errnoName: z.string().nullable(),
  explanation: explanationSchema.nullable(),
  log: z.string().nullable(),
});

/** One kernel's word on one release. `unproven`: nobody could ask a kernel, and `reason` says why. */
export const verdictSchema = z.object({
  kernel: z.object({ release: z.string(), arch: z.string(), buildId: z.string().nullable() }).nullable(),
  verdict: z.enum(['accepted', 'refused', 'unproven']),
  reason: z.string().nullable(),
  loadMs: z.number().nullable(),
  programs: z.array(programVerdictSchema),
  provenAt: z.iso.datetime(),
});
export type Verdict = z.infer<typeof verdictSchema>;

export const releaseParamSchema = z.object({
  name: z.string(),
  type: z.enum(['number', 'boolean', 'string']),
  default: z.union([z.number(), z.boolean(), z.string()]),
  unit: z.string().nullable(),
  help: z.string().nullable(),
});

export const releaseSchema = z.object({
  id: z.string(),
  probe: z.string(),
  version: z.string(),
  summary: z.string(),
  /** SHA-256 of the signed envelope: how a desired state names this release. */
  digest: z.string(),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  signature: z.object({ state: z.enum(['signed', 'unsigned']), keyids: z.array(z.string()) }),
  manifest: z.string(),
  params: z.array(releaseParamSchema),
  objects: z.array(z.object({ arch: z.string(), digest: z.string(), bytes: z.number() })),
  mapBytes: z.number(),
  metrics: z.array(
    z.object({ name: z.string(), type: z.string(), unit: z.string().nullable(), help: z.string().nullable() }),
  ),
  events: z.array(z.object({ name: z.string(), columns: z.array(z.object({ name: z.string(), type: z.string() })) })),
  profiles: z.array(z.object({ name: z.string() })),
  warnings: z.array(findingSchema),
  verdicts: z.array(verdictSchema),
});
export type Release = z.infer<typeof releaseSchema>;

export const probeSchema = z.object({
  name: z.string(),
  summary: z.string(),
  latest: z.object({ id: z.string(), version: z.string(), createdAt: z.iso.datetime() }),
  releases: z.number(),
  runsAttached: z.number(),
});
export type Probe = z.infer<typeof probeSchema>;

const fileNameSchema = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'a file name is letters, digits, _ . -');

/**
 * Publish: the manifest's text and either C sources (the server compiles them in its jail) or ready objects.
 * Refused with 422 and a code: MANIFEST_INVALID, PACKAGE_INVALID (sources and objects mixed, or neither), COMPILE_FAILED,
 * OBJECT_INVALID, LINT_FAILED, VERIFIER_REFUSED; 409 RELEASE_EXISTS (same version, other content); 503 COMPILER_UNAVAILABLE.
 */
export const publishRequestSchema = z.strictObject({
  manifest: z.string().min(1).max(32_768),
  sources: z
    .array(z.strictObject({ name: fileNameSchema, text: z.string().max(512 * 1024) }))
    .max(16)
    .default([]),
  objects: z
    .array(
      z.strictObject({ arch: z.enum(['any', 'x86_64', 'arm64', 'arm']), base64: z.string().max(12 * 1024 * 1024) }),
    )
    .max(4)
    .default([]),
});
export type PublishRequest = z.input<typeof publishRequestSchema>;
/** `details` of a refused publish. */
export const publishRefusalSchema = z.object({
  diagnostics: z.array(diagnosticSchema).optional(),
  issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  findings: z.array(findingSchema).optional(),
  verdict: verdictSchema.optional(),
});
export type PublishRefusal = z.infer<typeof publishRefusalSchema>;
