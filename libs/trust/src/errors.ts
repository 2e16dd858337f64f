/** Why a document was not believed. `code` is stable and travels to the server in a run's report. */
export type TrustErrorCode =
  | 'TRUST_SIZE'
  | 'TRUST_ENVELOPE'
  | 'TRUST_TYPE'
  | 'TRUST_SIGNATURE'
  | 'TRUST_SCHEMA'
  | 'TRUST_DEVICE'
  | 'TRUST_ROLLBACK'
  | 'TRUST_FRESHNESS'
  | 'TRUST_DIGEST'
  | 'TRUST_KERNEL'
  | 'TRUST_KEY'
  | 'TRUST_STORE';

export class TrustError extends Error {
  override readonly name = 'TrustError';
  constructor(
    readonly code: TrustErrorCode,
    message: string,
    readonly facts: Readonly<Record<string, string | number>> = {},
  ) {
    super(message);
  }
}
