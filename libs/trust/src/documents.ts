import * as z from 'zod';

/**
 * The documents of DESIGN §5: five, and the addendum that goes with a release where a kernel has no BTF. Every schema is strict: a field that this version does not know is refused, because
 * what a verifier ignores, an attacker may use.
 */
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const deviceId = z.string().regex(/^d[a-z0-9]{8,31}$/);
const probeName = z.string().regex(/^[a-z][a-z0-9_]{1,39}$/);
const version = z.string().regex(/^\d{1,5}\.\d{1,5}\.\d{1,5}(-[0-9a-z.]{1,20})?$/);
const paramValue = z.union([z.number(), z.boolean(), z.string().max(256)]);

const role = z.strictObject({ keyids: z.array(digest).min(1).max(16), threshold: z.number().int().min(1).max(16) });

export const rootSchema = z.strictObject({
  type: z.literal('root'),
  version: z.number().int().min(1),
  keys: z
    .array(z.strictObject({ keyid: digest, spki: z.string().max(200) }))
    .min(1)
    .max(64),
  roles: z.strictObject({ root: role, director: role, btf: role, agent: role }),
  /** Release keys by probe pattern: `*` or a prefix that ends in `*`, or a whole name. The threshold holds for each. */
  release: z
    .array(z.strictObject({ probes: z.string().regex(/^([a-z][a-z0-9_]{0,39})?\*?$/), role }))
    .min(1)
    .max(32),
  /** PEM certificates of the authorities that sign server and device certificates. */
  caBundle: z.array(z.string().max(4096)).min(1).max(4),
  /** Keys with which people sign code they type in a debug run, by user name. */
  people: z.array(z.strictObject({ user: z.string().max(64), keyid: digest })).max(64),
});

export const releaseSchema = z.strictObject({
  type: z.literal('release'),
  probe: probeName,
  version,
  /** The manifest's YAML text as it was proven; the agent parses it only after the signature held. */
  manifest: z.string().max(32_768),
  objects: z
    .array(
      z.strictObject({
        arch: z.enum(['any', 'x86_64', 'arm64', 'arm']),
        digest,
        bytes: z
          .number()
          .int()
          .min(1)
          .max(8 * 1024 * 1024),
      }),
    )
    .min(1)
    .max(8),
  createdAt: z.iso.datetime(),
});

export const revocationSchema = z.strictObject({
  type: z.literal('revocation'),
  version: z.number().int().min(1),
  expires: z.iso.datetime(),
  floors: z.array(z.strictObject({ probe: probeName, version })).max(256),
  digests: z.array(digest).max(256),
  keyids: z.array(digest).max(64),
});

/** What a tailored BTF may have: those of probes have some hundred bytes. */
const TAILORED_BYTES_MAX = 1024 * 1024;

/**
 * A BTF that bends the offsets at which signed code reads is signed too, for one object of one release on one kernel build.
 * The device matches the build id against its own kernel's.
 */
export const addendumSchema = z.strictObject({
  type: z.literal('addendum'),
  release: digest,
  object: digest,
  buildId: z.string().regex(/^([0-9a-f]{2}){4,32}$/),
  btf: z.strictObject({ digest, bytes: z.number().int().min(1).max(TAILORED_BYTES_MAX) }),
  createdAt: z.iso.datetime(),
});

export const desiredEntrySchema = z.strictObject({
  run: z.string().regex(/^r[a-z0-9]{8,31}$/),
  release: digest,
  probe: probeName,
  version,
  params: z.record(z.string().max(64), paramValue),
  budget: z.strictObject({
    cpuPercent: z.number().min(0).max(100),
    mapBytes: z.number().int().min(0),
    eventsPerSecond: z.number().int().min(0),
  }),
  /** Digest of the addendum for this device's kernel build. Only for agents that say they understand it. */
  addendum: digest.optional(),
  leaseSeconds: z
    .number()
    .int()
    .min(60)
    .max(90 * 86_400),
  reason: z.strictObject({
    kind: z.enum(['baseline', 'rollout', 'assignment', 'pin', 'debug']),
    intent: z.string().max(64),
  }),
  /** A debug run ends by itself this long after its first attach, measured on CLOCK_BOOTTIME. */
  endsAfterSeconds: z.number().int().min(1).max(3600).optional(),
});

export const desiredSchema = z.strictObject({
  type: z.literal('desired'),
  device: deviceId,
  generation: z.number().int().min(0),
  entries: z.array(desiredEntrySchema).max(64),
});

export const freshSchema = z.strictObject({
  type: z.literal('fresh'),
  device: deviceId,
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  time: z.iso.datetime(),
  generation: z.number().int().min(0),
  digests: z.strictObject({ root: digest, desired: digest, revocation: digest.nullable() }),
});

export type RootDocument = z.infer<typeof rootSchema>;
export type ReleaseDocument = z.infer<typeof releaseSchema>;
export type RevocationDocument = z.infer<typeof revocationSchema>;
export type DesiredDocument = z.infer<typeof desiredSchema>;
export type DesiredEntry = z.infer<typeof desiredEntrySchema>;
export type FreshDocument = z.infer<typeof freshSchema>;
export type AddendumDocument = z.infer<typeof addendumSchema>;
export type RoleKeys = z.infer<typeof role>;

export interface Documents {
  root: RootDocument;
  release: ReleaseDocument;
  revocation: RevocationDocument;
  desired: DesiredDocument;
  fresh: FreshDocument;
  addendum: AddendumDocument;
}
export type DocumentType = keyof Documents;

/** Schema and size limit (of the whole envelope, bytes) of each document. */
export const documentRules: { readonly [T in DocumentType]: { schema: z.ZodType<Documents[T]>; bytesMax: number } } = {
  root: { schema: rootSchema, bytesMax: 64 * 1024 },
  release: { schema: releaseSchema, bytesMax: 64 * 1024 },
  revocation: { schema: revocationSchema, bytesMax: 64 * 1024 },
  desired: { schema: desiredSchema, bytesMax: 32 * 1024 },
  fresh: { schema: freshSchema, bytesMax: 2 * 1024 },
  addendum: { schema: addendumSchema, bytesMax: 4 * 1024 },
};
