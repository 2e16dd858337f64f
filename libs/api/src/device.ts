import { z } from 'zod';

export const deviceIdSchema = z
  .string()
  .regex(/^d[a-z0-9]{8,31}$/, 'a device id is d and 8 to 31 of a-z and 0-9; it never holds / + or #');
export const labelsSchema = z
  .record(z.string().regex(/^[a-z][a-z0-9_.-]{0,62}$/, 'a label name is a-z, then a-z 0-9 _ . -'), z.string().max(128))
  .refine((labels) => Object.keys(labels).length <= 32, 'at most 32 labels');

export const factsViewSchema = z.object({
  hostname: z.string(),
  machine: z.string().nullable(),
  distribution: z.string().nullable(),
  kernelRelease: z.string(),
  kernelArch: z.string(),
  kernelBuildId: z.string().nullable(),
  userBits: z.number(),
  btfDigest: z.string().nullable(),
  jit: z.string().nullable(),
  lsm: z.array(z.string()),
  cpus: z.number(),
  pageBytes: z.number(),
  memoryBytes: z.number(),
  features: z.array(z.string()),
  /** Asked about and not there; absent where the agent is too old to say. */
  lacks: z.array(z.string()).optional(),
  possibleCpus: z.number().optional(),
  agentVersion: z.string(),
});

export const deviceSchema = z.object({
  id: deviceIdSchema,
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  online: z.boolean(),
  status: z.enum(['active', 'revoked', 'decommissioned']),
  /** Set where `status` is revoked. */
  revoked: z.object({ at: z.iso.datetime(), reason: z.string() }).nullish(),
  lastSeenAt: z.iso.datetime().nullable(),
  enrolledAt: z.iso.datetime(),
  facts: factsViewSchema.nullable(),
  desiredGeneration: z.number(),
  reportedGeneration: z.number(),
  /** Why the device refused its newest desired state, if it did. */
  refused: z.object({ code: z.string(), message: z.string() }).nullable(),
  agent: z
    .object({ rssBytes: z.number(), spoolBytes: z.number(), spoolBatches: z.number(), uptimeSeconds: z.number() })
    .nullable(),
  runs: z.object({ attached: z.number(), failed: z.number(), total: z.number() }),
});
export type Device = z.infer<typeof deviceSchema>;

export const deviceListQuerySchema = z.strictObject({
  selector: z.string().max(1000).optional(),
  cursor: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});
export const deviceListSchema = z.object({
  items: z.array(deviceSchema),
  nextCursor: z.string().nullable(),
  total: z.number(),
});

export const updateDeviceRequestSchema = z.strictObject({
  name: z.string().min(1).max(128).optional(),
  labels: labelsSchema.optional(),
});

/** For good: the device can come back under a new id alone. */
export const revokeDeviceRequestSchema = z.strictObject({
  reason: z.string().trim().min(1, 'say why: it is shown with the device and kept in the audit log').max(500),
});

export const createEnrolmentTokenRequestSchema = z.strictObject({
  name: z.string().min(1).max(64),
  uses: z.number().int().min(1).max(100_000).default(1),
  expiresInMinutes: z
    .number()
    .int()
    .min(1)
    .max(60 * 24 * 365)
    .default(60),
  labels: labelsSchema.default({}),
});
export const enrolmentTokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  usesLeft: z.number(),
  expiresAt: z.iso.datetime(),
  createdAt: z.iso.datetime(),
  labels: z.record(z.string(), z.string()),
});
export type EnrolmentTokenView = z.infer<typeof enrolmentTokenSchema>;
export const createdEnrolmentTokenSchema = enrolmentTokenSchema.extend({
  /** Shown once: bpf1.<id>.<secret>.<root digest>. */
  token: z.string(),
  /** Where devices look for the server. */
  server: z.string(),
  /** The line to run on the device. */
  command: z.string(),
  /** What a person should know about that line: what it takes on the device, and what is missing for it to work. */
  note: z.string().optional(),
});

/** Agent → server, the one request a device makes before it has a certificate. */
export const enrolRequestSchema = z.strictObject({
  token: z.string().max(256),
  /** PKCS#10, PEM, ECDSA P-256. The subject is ignored: the server mints the identity. */
  csr: z.string().max(4096),
  hostname: z.string().max(256),
});
export const enrolResponseSchema = z.object({
  device: deviceIdSchema,
  certificate: z.string(),
  /** The signed root envelope, base64; its SHA-256 must be the digest in the token. The CA is in it. */
  root: z.string(),
  /** mqtts://host:port of the broker. */
  mqttUrl: z.string(),
});
