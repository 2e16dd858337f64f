/** A message that is not what the protocol says. The reader drops it, counts it under `code`, and goes on. */
export type WireErrorCode =
  'WIRE_DEVICE_ID' | 'WIRE_TOPIC' | 'WIRE_SIZE' | 'WIRE_MESSAGE' | 'WIRE_BATCH_HEADER' | 'WIRE_BATCH_BODY';

export class WireError extends Error {
  override readonly name = 'WireError';
  constructor(
    readonly code: WireErrorCode,
    message: string,
  ) {
    super(message);
  }
}
