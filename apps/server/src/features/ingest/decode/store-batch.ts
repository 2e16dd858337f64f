import { decodeBatchBody, WireError } from '@bpfleet/wire';
import { BatchRefused, type BatchContext, type Stored } from './batch-context.js';
import { cleanText } from './clean-text.js';
import { BatchTime, type TimeBounds } from './event-time.js';
import type { Mark } from './rows.js';
import { storeMap } from './store-map.js';
import { storeNames } from './store-names.js';
import { storeRing } from './store-ring.js';
import { storeStacks } from './store-stacks.js';

/** With `mark` it can be taken back; its rows have times of this span. */
export interface StoredBatch {
  readonly stored: Stored;
  readonly mark: Mark;
  readonly fromMicros: number;
  readonly toMicros: number;
}

/**
 * Decodes one batch into `rows`; nothing of it stays there when it throws.
 * @throws BatchRefused with the reason, whatever went wrong: the bytes are a device's and may be anything
 */
export function storeBatch(context: Omit<BatchContext, 'time' | 'boot'>, bounds: TimeBounds): StoredBatch {
  const { batch, rows } = context;
  const mark = rows.mark();
  const stored: Stored = { events: 0, samples: 0, recordsUnmatched: 0, timesClamped: 0 };
  try {
    const time = new BatchTime(batch.header.time, batch.receivedAtMs, bounds);
    const boot = cleanText(batch.header.time.bootId);
    decode({ ...context, time, boot }, decodeBatchBody(batch.header, batch.body), stored);
    stored.timesClamped = time.clamped;
    const { fromMicros, toMicros } = time;
    return { stored, mark, fromMicros, toMicros };
  } catch (error) {
    rows.rewind(mark);
    if (error instanceof BatchRefused) throw error;
    const { message } = error as Error;
    throw new BatchRefused('body_malformed', error instanceof WireError ? message : `it cannot be decoded: ${message}`);
  }
}

function decode(context: BatchContext, sections: readonly Uint8Array[], stored: Stored): void {
  switch (context.batch.header.source.kind) {
    case 'ring':
      return storeRing(context, sections, stored);
    case 'map':
      return storeMap(context, sections, stored);
    case 'stacks':
      return storeStacks(context, sections);
    case 'names':
      return storeNames(context, sections);
  }
}
