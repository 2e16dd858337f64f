import { z } from 'zod';
import { paramsSchema, selectorSchema } from './assignment.js';
import { deviceIdSchema } from './device.js';
import { kernelArchSchema, kernelGroupSchema } from './kernel.js';

/** `takes` and `refuses` are said only where they are certain; everything else is `unknown`, with what is missing. */
export const preflightVerdictSchema = z.enum(['takes', 'refuses', 'unknown']);
export type PreflightVerdict = z.infer<typeof preflightVerdictSchema>;

/** One clear sentence; `kind` is stable. */
export const preflightReasonSchema = z.object({ kind: z.string(), sentence: z.string() });

/**
 * The kernel that loaded the release, as near to the devices' own as there is one: their kernel group, the same build, or the same
 * release series with the same architecture, user land and JIT state.
 */
export const preflightProofSchema = z.object({
  closeness: z.enum(['same_group', 'same_build', 'same_series']),
  kernelRelease: z.string(),
  kernelArch: z.string(),
  /** A kernel of the lab, or that of the server. */
  by: z.enum(['lab', 'server']),
  at: z.iso.datetime(),
});
export type PreflightProof = z.infer<typeof preflightProofSchema>;

export const preflightAnswerSchema = z.object({
  verdict: preflightVerdictSchema,
  /** The most important first; at least one. */
  reasons: z.array(preflightReasonSchema),
  proof: preflightProofSchema.nullable(),
  /** Against the kernel's types. `pending`: not looked at yet, and being looked at; `impossible`: its types are not known. */
  resolution: z.enum(['accepted', 'refused', 'unknown', 'pending', 'impossible', 'not_needed']),
  /** By whose types it would be loaded. `awaiting_signature`: by a tailored BTF that is not made and signed yet. */
  types: z.enum(['own', 'tailored', 'awaiting_signature', 'missing', 'not_needed']),
});
export type PreflightAnswer = z.infer<typeof preflightAnswerSchema>;

/** Devices of one kernel group that get the same answer. `kernel` is null until they have told theirs. */
export const preflightGroupSchema = preflightAnswerSchema.extend({
  kernel: kernelGroupSchema.nullable(),
  devices: z.number(),
});
export type PreflightGroup = z.infer<typeof preflightGroupSchema>;

export const preflightRequestSchema = z.strictObject({
  selector: selectorSchema,
  releaseId: z.string(),
  /** Values that differ from the release's defaults: what was proven with the defaults may not hold for them. */
  params: paramsSchema.default({}),
});
export const preflightSchema = z.object({
  devices: z.number(),
  takes: z.number(),
  refuses: z.number(),
  unknown: z.number(),
  /** Of the unknown: devices whose kernels are being looked at; ask again. */
  pending: z.number(),
  /** The most devices first. */
  groups: z.array(preflightGroupSchema),
  groupsLeftOff: z.number(),
  /** At most ten, to recognise what the selector caught. */
  sample: z.array(z.object({ id: deviceIdSchema, name: z.string() })),
});
export type Preflight = z.infer<typeof preflightSchema>;

const seriesSchema = z
  .string()
  .regex(/^\d{1,5}\.\d{1,5}$/, 'a release series is two numbers, such as 6.12')
  .describe('Every kernel of that series that is known: of devices, of the lab, and those whose BTF was added.');

/** What devices would move to: one kernel group, or a release series. */
export const kernelUpgradeRequestSchema = z
  .strictObject({
    selector: selectorSchema,
    kernelGroupId: z.string().max(64).optional(),
    series: seriesSchema.optional(),
    arch: kernelArchSchema.optional(),
  })
  .refine((body) => (body.kernelGroupId === undefined) !== (body.series === undefined), {
    message: 'name either a kernel group or a release series',
  });

const targetKernelSchema = kernelGroupSchema.omit({ id: true }).extend({ id: z.string().nullable() });
export const kernelUpgradeRowSchema = preflightAnswerSchema.extend({
  release: z.object({ id: z.string(), probe: z.string(), version: z.string() }),
  /** Null where no kernel of that series and the devices' architecture is known. */
  kernel: targetKernelSchema.nullable(),
  arch: z.string(),
  /** That run the release now. */
  devices: z.number(),
});
export type KernelUpgradeRow = z.infer<typeof kernelUpgradeRowSchema>;
export const kernelUpgradeSchema = z.object({
  /** That the selector holds, whether something runs on them or not. */
  devices: z.number(),
  /** Runs, by the worst of the answers for the kernels that a device might get. */
  runs: z.number(),
  takes: z.number(),
  refuses: z.number(),
  unknown: z.number(),
  pending: z.number(),
  kernels: z.array(targetKernelSchema),
  /** What breaks first. */
  rows: z.array(kernelUpgradeRowSchema),
  rowsLeftOff: z.number(),
});
export type KernelUpgrade = z.infer<typeof kernelUpgradeSchema>;
