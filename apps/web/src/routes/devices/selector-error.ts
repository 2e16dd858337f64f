import { ApiError } from '@bpfleet/api';

/** The server did not understand the selector: that is said at the field, not instead of the page. */
export function isBadSelector(error: unknown): error is ApiError {
  return error instanceof ApiError && (error.status === 400 || error.status === 422) && /SELECTOR/.test(error.code);
}
