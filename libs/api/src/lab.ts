import { z } from 'zod';
import { kernelGroupSchema } from './kernel.js';
import { programVerdictSchema } from './release.js';

/** Debian's, of which the lab has kernels. */
export const labSuiteSchema = z.enum(['bullseye', 'bookworm', 'trixie', 'forky']);
export type LabSuite = z.infer<typeof labSuiteSchema>;
export const labArchSchema = z.enum(['arm64', 'armv7']);
export type LabArch = z.infer<typeof labArchSchema>;
/** Of the kernel, in bytes. */
export const labPageBytesSchema = z.literal([4096, 16_384]);
export type LabPageBytes = z.infer<typeof labPageBytesSchema>;
export const labNameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,47}$/,
    'a name is up to 48 small letters, digits, . _ -, and begins with a letter or digit',
  );

const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, 'a digest is 64 hexadecimal digits');
/** One argument of a kernel's command line: no space, since it would be two. */
const kernelArgSchema = z.string().regex(/^[!-~]{1,256}$/, 'a kernel argument is printable ASCII without spaces');

/** An arm64 Image with its drivers built in has 20 to 50 MiB. */
export const LAB_IMAGE_BYTES_MAX = 64 * 1024 * 1024;
/** What the lab's VMs are made of takes a dozen modules, each below 2 MiB unpacked. */
export const LAB_MODULES_MAX = 64;
export const LAB_MODULE_BYTES_MAX = 8 * 1024 * 1024;
export const LAB_CONFIG_BYTES_MAX = 1024 * 1024;
export const LAB_KERNELS_MAX = 50;

/** As the kernel spells it. */
const moduleNameSchema = z.string().regex(/^[A-Za-z0-9_]{1,64}$/, 'a module is named by letters, digits and _');

/**
 * Of `POST /api/lab/files`, whose body is the file: a kernel image to boot, the BTF of one, its build configuration, or one of
 * its modules, unpacked.
 */
export const addLabFileQuerySchema = z.strictObject({
  kind: z.enum(['image', 'btf', 'config', 'module']),
  arch: labArchSchema,
});
export type LabFileKind = z.output<typeof addLabFileQuerySchema>['kind'];
export const labFileSchema = z.object({ digest: z.string(), bytes: z.number() });

/**
 * `suite`: a kernel of Debian's; `image`: one that was uploaded, with its drivers built in or uploaded as modules. Throws LAB_TARGET, LAB_FILE_UNKNOWN
 * (422), LAB_NAME_TAKEN (409), LAB_FULL (409).
 */
export const addLabKernelRequestSchema = z
  .strictObject({
    /** Made from what it is when it is left out. */
    name: labNameSchema.optional(),
    suite: labSuiteSchema.optional(),
    image: digestSchema.optional(),
    /** Of that image, in the order in which they are loaded. */
    modules: z
      .array(z.strictObject({ name: moduleNameSchema, digest: digestSchema }))
      .max(LAB_MODULES_MAX)
      .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'a module is there twice')
      .default([]),
    config: digestSchema.optional(),
    /** Types for a kernel that shows none. */
    btf: digestSchema.optional(),
    arch: labArchSchema,
    /** Of the programs under it; as the kernel's unless told. */
    userLand: labArchSchema.optional(),
    /** Of a suite's kernel: Debian has one of 16 KiB from trixie on. An image has what it was built with. */
    pageBytes: labPageBytesSchema.default(4096),
    /** Added to the command line. */
    kernelArgs: z.array(kernelArgSchema).max(32).default([]),
    /** net.core.bpf_jit_enable; as the kernel has it unless told. */
    jit: z.number().int().min(0).max(2).optional(),
  })
  .refine(
    ({ suite, image }) => (suite === undefined) !== (image === undefined),
    'give a suite or an image, one of them',
  )
  .refine(
    ({ image, modules, config }) => image !== undefined || (modules.length === 0 && config === undefined),
    'modules and configuration are those of an image: give it too',
  )
  .refine(
    ({ image, pageBytes }) => image === undefined || pageBytes === 4096,
    'pageBytes chooses among the kernels of a suite: an image has what it was built with',
  )
  .refine(({ image, name }) => image === undefined || name !== undefined, 'a kernel of your own needs a name');
export type AddLabKernelRequest = z.input<typeof addLabKernelRequestSchema>;

/** A kernel of the lab, and how far it has come. */
export const labKernelSchema = z.object({
  id: z.string(),
  name: z.string(),
  suite: labSuiteSchema.nullable(),
  image: z.string().nullable(),
  arch: labArchSchema,
  userLand: labArchSchema,
  kernelArgs: z.array(z.string()),
  jit: z.number().nullable(),
  /** `waiting`: not booted yet; `ready`: it came up when it was last needed; `failed`: given up, `reason` says why. */
  state: z.enum(['waiting', 'booting', 'ready', 'failed']),
  reason: z.string().nullable(),
  /** The last lines of its console, when it failed. */
  console: z.string().nullable(),
  /** As measured at its last boot. */
  group: kernelGroupSchema.extend({ btf: z.boolean() }).nullable(),
  /** Devices of the fleet in that group. */
  devices: z.number(),
  jobs: z.object({ waiting: z.number(), proving: z.number(), done: z.number(), failed: z.number() }),
  /** `probe@version` that is being proven now. */
  proving: z.string().nullable(),
  bootMs: z.number().nullable(),
  seenAt: z.iso.datetime().nullable(),
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
});
export type LabKernel = z.infer<typeof labKernelSchema>;

/** `hosts`: servers with the role lab that were seen lately; without one nothing is proven. */
export const labSchema = z.object({
  items: z.array(labKernelSchema),
  hosts: z.array(
    z.object({ name: z.string(), machines: z.number(), reason: z.string().nullable(), seenAt: z.iso.datetime() }),
  ),
});
export type Lab = z.infer<typeof labSchema>;

/** Proves a release again: on every kernel of the lab, or on the one named. */
export const proveInLabRequestSchema = z.strictObject({
  releaseId: z.string().max(64),
  kernel: labNameSchema.optional(),
});
export const proveInLabResponseSchema = z.object({ queued: z.number() });

const reasonSchema = z.object({ kind: z.string(), sentence: z.string(), program: z.string().optional() });
const labProgramSchema = programVerdictSchema.extend({ jitedBytes: z.number().nullable() });

/** What is known of one release on the kernels of one group: by their types, and from a kernel like it in the lab. */
export const releaseOnKernelSchema = z.object({
  group: kernelGroupSchema,
  devices: z.number(),
  /** Names of the lab's kernels of this group. */
  lab: z.array(z.string()),
  resolved: z
    .object({
      verdict: z.enum(['accepted', 'refused', 'unknown']),
      reasons: z.array(reasonSchema),
      at: z.iso.datetime(),
    })
    .nullable(),
  proven: z
    .object({
      verdict: z.enum(['accepted', 'refused', 'unknown']),
      reasons: z.array(reasonSchema),
      at: z.iso.datetime(),
      loadMs: z.number().nullable(),
      /** That the verifier walked, over all programs. */
      instructions: z.number().nullable(),
      /** Of the program with the deepest. */
      stackDepthBytes: z.number().nullable(),
      jitedBytes: z.number().nullable(),
      programs: z.array(labProgramSchema),
    })
    .nullable(),
  /** Of the lab, when it is not done. */
  job: z.object({ state: z.enum(['waiting', 'proving', 'failed']), error: z.string().nullable() }).nullable(),
});
export type ReleaseOnKernel = z.infer<typeof releaseOnKernelSchema>;
