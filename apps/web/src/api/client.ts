import { ApiError, createClient } from '@bpfleet/api';

/** Calls of this origin; the session's cookie goes with them. */
export const api = createClient({ baseUrl: '' });

export function isNotLoggedIn(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401;
}
