/** Why a batch was settled without being stored. */
export type RefusalReason =
  | 'run_unknown'
  | 'run_of_another_device'
  | 'release_mismatch'
  | 'release_unreadable'
  | 'source_unknown'
  | 'body_malformed'
  | 'not_storable';

/** Why a message was dropped: without a number that can be trusted there is nothing to settle. */
export type DropReason = 'topic' | 'header' | 'header_mismatch' | 'queue_full';

/** What ingest did since it started; plain numbers, read by whoever wants to show them. */
export class IngestCounters {
  stored = 0;
  duplicates = 0;
  events = 0;
  samples = 0;
  /** Records of a ring that are no event of the release. */
  recordsUnmatched = 0;
  /** Points of series beyond the bound of their run. */
  pointsBeyondSeriesMax = 0;
  /** Stacks beyond the bound of their run, names beyond that of their device. */
  stacksBeyondMax = 0;
  namesBeyondMax = 0;
  /** Rows whose time was outside of what is believed. */
  timesClamped = 0;
  /** Batches left to their devices, since a table lacks the partition for them. */
  setAside = 0;
  transactions = 0;
  retries = 0;
  readonly refused: Partial<Record<RefusalReason, number>> = {};
  readonly dropped: Partial<Record<DropReason, number>> = {};

  refuse(reason: RefusalReason): void {
    this.refused[reason] = (this.refused[reason] ?? 0) + 1;
  }

  drop(reason: DropReason): void {
    this.dropped[reason] = (this.dropped[reason] ?? 0) + 1;
  }
}
