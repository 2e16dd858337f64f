export type ProveFailure = 'request' | 'timeout' | 'output' | 'crash' | 'report';

/**
 * The verifier did not come to a verdict. `request` means that the object or its globals are not what libbpf can open; the
 * other reasons say nothing about the object.
 */
export class ProveError extends Error {
  readonly code = 'PROVE_FAILED';
  constructor(
    message: string,
    readonly reason: ProveFailure,
    /** The end of what the verifier printed. */
    readonly output: string,
  ) {
    super(message);
    this.name = 'ProveError';
  }
}
