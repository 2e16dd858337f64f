export const ASSIGNMENT_LEASE_SECONDS = 14 * 86_400;
export const DEBUG_LEASE_SECONDS = 600;
/** libs/trust allows 64 entries; debug has room of its own, so that a full device can still be debugged. */
export const ASSIGNMENT_ENTRIES_MAX = 48;
export const DEBUG_ENTRIES_MAX = 8;
/** What all entries together may take as JSON: in base64, beside a signature, it stays below the 32 KiB of a desired state. */
export const ENTRIES_BYTES_MAX = 23_000;
