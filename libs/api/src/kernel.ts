import { z } from 'zod';

export const kernelArchSchema = z.enum(['x86_64', 'arm64', 'arm']);
/** Hexadecimal digits of the GNU build id, as /sys/kernel/notes and `file vmlinux` have it. */
export const buildIdSchema = z
  .string()
  .regex(/^([0-9a-f]{2}){4,32}$/, 'a build id is 8 to 64 hexadecimal digits, such as `file vmlinux` shows');
const releaseSchema = z.string().max(128);

/** What a device runs its programs on; devices of one group take and refuse the same. */
export const kernelGroupSchema = z.object({
  id: z.string(),
  kernelRelease: z.string(),
  kernelArch: z.string(),
  kernelBuildId: z.string().nullable(),
  userBits: z.number(),
  jit: z.string().nullable(),
  lsm: z.array(z.string()),
  pageBytes: z.number(),
});

/**
 * The types of a group's kernel, as far as the server has them:
 * - `known`: the kernel shows its BTF, and the server has it; `wanted`, `fetching`, `refused`: not yet, or not at all;
 * - `added`: the kernel shows none, and an administrator gave that of its build; `missing`: nobody did.
 */
export const btfStateSchema = z.object({
  state: z.enum(['known', 'wanted', 'fetching', 'refused', 'added', 'missing']),
  digest: z.string().nullable(),
  /** Why it is refused, or what the last attempt came to. */
  reason: z.string().nullable(),
  receivedBytes: z.number().nullable(),
  totalBytes: z.number().nullable(),
});
export type BtfState = z.infer<typeof btfStateSchema>;

export const kernelSchema = kernelGroupSchema.extend({ devices: z.number(), btf: btfStateSchema });
export type Kernel = z.infer<typeof kernelSchema>;

/** `kernel` is null until the device has told it. */
export const deviceKernelSchema = z.object({ kernel: kernelSchema.nullable() });

export const kernelBtfSchema = z.object({
  digest: z.string(),
  bytes: z.number(),
  pointerBits: z.number(),
  source: z.enum(['device', 'admin']),
  addedBy: z.string(),
  createdAt: z.iso.datetime(),
  /** Kernel builds that an administrator said it is of. */
  builds: z.array(
    z.object({ buildId: z.string(), kernelRelease: z.string().nullable(), kernelArch: kernelArchSchema }),
  ),
  /** Whose kernels show it, or are of one of its builds and show none. */
  devices: z.number(),
});
export type KernelBtf = z.infer<typeof kernelBtfSchema>;

/** Of `POST /api/btf`, whose body is the BTF itself. */
export const addBtfQuerySchema = z.strictObject({
  buildId: buildIdSchema,
  release: releaseSchema.optional(),
  /** Needed where no device of that build has told it and the BTF is of a 64-bit kernel. */
  arch: kernelArchSchema.optional(),
  /** Give a build that has a BTF another one. */
  replace: z.enum(['true', 'false']).default('false'),
});
/** Distribution kernels have 4 to 7 MiB; one with everything built in and every option on has not been seen above 20. */
export const BTF_BYTES_MAX = 32 * 1024 * 1024;
