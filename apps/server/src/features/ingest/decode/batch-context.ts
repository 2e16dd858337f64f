import type { QueuedBatch } from '../batch-queue.js';
import type { RefusalReason } from '../counters.js';
import type { RunRow } from '../write/runs.js';
import type { BatchTime } from './event-time.js';
import type { Dictionary, ReleaseDecoders } from './release-decoders.js';
import type { Rows } from './rows.js';

/** All that one batch is decoded with. */
export interface BatchContext {
  readonly batch: QueuedBatch;
  readonly run: RunRow;
  readonly decoders: ReleaseDecoders;
  readonly time: BatchTime;
  /** The device's boot: kernel addresses and stack ids hold for one. */
  readonly boot: string;
  readonly rows: Rows;
  readonly dictionary: Dictionary;
}

export interface Stored {
  events: number;
  samples: number;
  recordsUnmatched: number;
  timesClamped: number;
}

/** A batch that must be refused: everything that a device can do wrong inside of a body. */
export class BatchRefused extends Error {
  override readonly name = 'BatchRefused';
  readonly code = 'BATCH_REFUSED';
  constructor(
    readonly reason: RefusalReason,
    message: string,
  ) {
    super(message);
  }
}
