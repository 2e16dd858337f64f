export type TelemetryErrorCode = 'TELEMETRY_LIMIT' | 'TELEMETRY_MIGRATION' | 'TELEMETRY_DDL_BUSY';

/** The telemetry store cannot take what it was asked to: `message` says which bound or which step, `facts` the numbers. */
export class TelemetryError extends Error {
  override readonly name = 'TelemetryError';
  constructor(
    readonly code: TelemetryErrorCode,
    message: string,
    readonly facts: Readonly<Record<string, string | number>> = {},
  ) {
    super(message);
  }
}
