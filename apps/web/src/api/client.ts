import { ApiError, createClient } from '@bpfleet/api';

/** A link can die without a word: what does not answer for this long is said to be away. */
const readTimeoutMs = 20_000;
/** Compiling and asking kernels takes a while; the server gives up before this does. */
const publishTimeoutMs = 180_000;

/** Calls of this origin; the session's cookie goes with them. */
export const api = createClient({ baseUrl: '', timeoutMs: readTimeoutMs });
export const publishApi = createClient({ baseUrl: '', timeoutMs: publishTimeoutMs });

/** Told by whoever finds that the server does not answer; the live connection then tries itself. */
export const linkTrouble = new EventTarget();

export function isNotLoggedIn(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401;
}
