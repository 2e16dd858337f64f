/**
 * What a request can be refused with. `code` is stable, `message` is one sentence that says what is wrong, where, and
 * what to do; http/problem.filter.ts is the one place that turns it into a response.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  constructor(
    readonly status: 400 | 401 | 403 | 404 | 409 | 413 | 415 | 422 | 429 | 503,
    readonly code: string,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}

export function notFound(noun: string, id: string): DomainError {
  return new DomainError(404, `${noun.toUpperCase().replaceAll(' ', '_')}_UNKNOWN`, `there is no ${noun} ${id}`);
}
