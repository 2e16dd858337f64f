export interface SpoolLimits {
  readonly bytesMax: number;
  readonly segmentBytesMax: number;
  /** Bounds the index in memory. */
  readonly batchesMax: number;
  readonly ageMsMax: number;
  /** What is left to others on the disk: this much, or this share of it where that is less. */
  readonly reserveBytesMax: number;
  readonly reserveShare: number;
}

export const spoolLimits: SpoolLimits = {
  bytesMax: 64 * 1024 * 1024,
  segmentBytesMax: 4 * 1024 * 1024,
  batchesMax: 65_536,
  ageMsMax: 7 * 86_400_000,
  reserveBytesMax: 64 * 1024 * 1024,
  reserveShare: 0.02,
};
