/** A jail could not be built or did not start; nothing is known about what should have run in it. */
export class JailError extends Error {
  readonly code: 'JAIL_UNAVAILABLE' | 'JAIL_BUSY' = 'JAIL_UNAVAILABLE';
  constructor(
    message: string,
    readonly needs: string,
  ) {
    super(message);
    this.name = 'JailError';
  }
}
