/** What can go wrong while starting something embedded; stable, so that a supervisor can tell the causes apart. */
export type EmbeddedErrorCode =
  | 'PORT_IN_USE'
  | 'NO_BINARIES'
  | 'NO_SYSTEM_USER'
  | 'DATA_DIR_UNREACHABLE'
  | 'DATA_DIR_IN_USE'
  | 'INITDB_FAILED'
  | 'START_FAILED'
  | 'START_TIMED_OUT';

/** One clear sentence in `message`, a stable `code`, and the facts it was made from. */
export class EmbeddedError extends Error {
  override readonly name = 'EmbeddedError';

  constructor(
    readonly code: EmbeddedErrorCode,
    message: string,
    readonly facts: Readonly<Record<string, string | number>> = {},
  ) {
    super(message);
  }
}
