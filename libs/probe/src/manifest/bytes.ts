import * as z from 'zod';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1e3,
  KiB: 1024,
  MB: 1e6,
  MiB: 1024 ** 2,
  GB: 1e9,
  GiB: 1024 ** 3,
};

/** `4MiB` → 4194304. Undefined for anything that is not a whole number of bytes below 2^53. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,16})(?:\s?(B|kB|KiB|MB|MiB|GB|GiB))?$/.exec(text.trim());
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (UNITS[match[2] ?? ''] as number);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A whole number of bytes, or text with a unit. */
export const bytesSchema = z.union([
  z.number().int().min(0),
  z.string().transform((text, context) => {
    const bytes = parseBytes(text);
    if (bytes !== undefined) return bytes;
    context.addIssue({ code: 'custom', message: 'must be bytes such as 65536 or 4MiB' });
    return z.NEVER;
  }),
]);
