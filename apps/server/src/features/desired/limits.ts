export const ASSIGNMENT_LEASE_SECONDS = 14 * 86_400;
export const DEBUG_LEASE_SECONDS = 600;
/** libs/trust allows 64 entries; debug has places of its own, so that many small assignments leave it some. */
export const ASSIGNMENT_ENTRIES_MAX = 48;
export const DEBUG_ENTRIES_MAX = 8;
/** What all entries together may take as JSON: in base64, beside a signature, it stays below the 32 KiB of a desired state. */
export const ENTRIES_BYTES_MAX = 23_000;

const ENTRY_FIXED_BYTES = 360;
/** What `"addendum":"…",` adds to the entry of a device that loads with tailored BTF. */
export const ADDENDUM_BYTES = 80;

interface Sized {
  readonly release: { readonly probe: string; readonly version: string };
  readonly params: Readonly<Record<string, unknown>>;
  readonly intent: string;
}

/** An entry's JSON, a little more rather than less: names, digests and numbers of fixed width, and the parameters. */
export function entryBytes({ release, params, intent }: Sized): number {
  const { probe, version } = release;
  return ENTRY_FIXED_BYTES + Buffer.byteLength(JSON.stringify([probe, version, params, intent]));
}

/** What each entry of a device may have beside: `facts` as it told them, `tailored` as the server is configured. */
export function extraBytes(
  facts: { readonly btfDigest: string | null } | null,
  tailored: 'missing' | 'always',
): number {
  return facts?.btfDigest === null || tailored === 'always' ? ADDENDUM_BYTES : 0;
}
