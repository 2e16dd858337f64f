/** Bounds of the protocol. A packet above `packetBytesMax` is refused by the broker; everything else is refused by its reader. */
export const limits = {
  packetBytesMax: 100 * 1024,
  blobChunkBytesMax: 64 * 1024,
  /** What a device may give as one blob, such as its kernel's BTF: those of distributions have 4 to 7 MiB. */
  uploadBytesMax: 32 * 1024 * 1024,
  uploadChunkRawBytesMax: 128 * 1024,
  uploadChunkBytesMax: 64 * 1024,
  messageBytesMax: 96 * 1024,
  /** Inflated size of one telemetry batch. */
  batchRawBytesMax: 1024 * 1024,
  batchHeaderBytesMax: 4 * 1024,
  batchRecordsMax: 65_536,
  ackRangesMax: 32,
  lostRangesMax: 32,
  runsPerReportMax: 64,
  logBytesMax: 64 * 1024,
  factStringBytesMax: 256,
} as const;

/** Version of the protocol, the `1` of `bpfleet/1/…`. */
export const protocolVersion = 1;
