import { z } from 'zod';

/** A place in the log: it only grows, with gaps. */
const sequenceSchema = z.string().regex(/^\d{1,18}$/, 'the number of an audit entry');

export const auditEntrySchema = z.object({
  sequence: sequenceSchema,
  at: z.iso.datetime(),
  /** A user's name, `token:<id>` of an enrolment token, or `anonymous`. */
  actor: z.string(),
  /** `noun.verb`, such as `assignment.create`. */
  action: z.string(),
  subject: z.string(),
  details: z.record(z.string(), z.unknown()),
  /** Over this entry and the hash of the one before it. */
  hash: z.string(),
});
export type AuditEntry = z.infer<typeof auditEntrySchema>;

export const auditQuerySchema = z.strictObject({
  cursor: sequenceSchema.optional(),
  actor: z.string().min(1).max(128).optional(),
  /** Whole, or its noun. */
  action: z
    .string()
    .regex(/^[a-z-]{1,32}(\.[a-z-]{1,32})?$/, 'an action is noun.verb, or the noun alone')
    .optional(),
  since: z.iso.datetime({ offset: true }).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});
/** Newest first; `nextCursor` is null on the last page. */
export const auditListSchema = z.object({ items: z.array(auditEntrySchema), nextCursor: sequenceSchema.nullable() });

export const verifyAuditQuerySchema = z.strictObject({
  /** Go on behind this entry: the `last` of the answer before. */
  after: sequenceSchema.optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(10_000),
});
export const auditVerificationSchema = z.object({
  checked: z.number(),
  /** The last entry that follows from all before it. Noted elsewhere, it shows later whether the end was cut off. */
  last: z.object({ sequence: sequenceSchema, hash: z.string() }).nullable(),
  /** The first entry that does not follow from the ones before it. */
  broken: sequenceSchema.nullable(),
  more: z.boolean(),
});
export type AuditVerification = z.infer<typeof auditVerificationSchema>;
