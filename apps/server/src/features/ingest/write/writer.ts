import type pg from 'pg';
import type { BatchQueue, QueuedBatch } from '../batch-queue.js';
import type { BoundedLog } from '../bounded-log.js';
import type { IngestCounters } from '../counters.js';
import { cutConnection, withDeadline } from './connection.js';
import { isAboutRows } from './sql-errors.js';
import type { RowDrops } from './store-rows.js';
import { WriteTransaction, type RefuseAll, type WriterParts, type Written } from './write-transaction.js';

const GOODBYE_TIMEOUT_MS = 2000;

export interface WriterRim {
  connect(): Promise<pg.Client>;
  /** After COMMIT: acknowledgements and the live view. Must not throw. */
  committed(written: Written): void;
  /** Resolves after about `ms`, or at once when the writer stops. */
  pause(ms: number): Promise<void>;
  /** 0 ≤ random() < 1. */
  random(): number;
}

/**
 * Takes what is in the queue, a transaction at a time, over one connection. While PostgreSQL is away the batches stay in
 * the queue, nothing is acknowledged, and the connection is made again with growing pauses.
 */
export class Writer {
  private client: pg.Client | undefined;
  private stopping = false;
  private failures = 0;

  constructor(
    private readonly queue: BatchQueue,
    private readonly parts: WriterParts,
    private readonly counters: IngestCounters,
    private readonly log: BoundedLog,
    private readonly rim: WriterRim,
  ) {}

  /** Runs until `stop`; what is in the queue then stays unacknowledged. */
  async run(): Promise<void> {
    while (!this.stopping) {
      await this.untilWork();
      if (this.stopping) break;
      await this.writeOnce();
    }
    const { client } = this;
    if (client) await withDeadline(client, GOODBYE_TIMEOUT_MS, () => client.end()).catch(() => undefined);
  }

  stop(): void {
    this.stopping = true;
    this.queue.wakeUp();
  }

  /** Waits for a first batch, then a little for more: commits cost the same for one batch as for a hundred. */
  private async untilWork(): Promise<void> {
    while (this.queue.length === 0 && !this.stopping) await this.queue.nextOffer();
    let due = false;
    const linger = this.rim.pause(this.parts.settings.flushMs).then(() => {
      due = true;
      this.queue.wakeUp();
    });
    while (!due && !this.stopping && !this.queue.hasFullTake) await this.queue.nextOffer();
    if (due) await linger;
  }

  /** One transaction's worth, from the queue to the acknowledgement. Never throws. */
  async writeOnce(): Promise<void> {
    const batches = this.queue.take();
    if (batches.length === 0) return;
    try {
      this.client ??= await this.rim.connect();
      await this.parts.state.tell(this.client, this.log);
      for (const written of await this.write(this.client, batches)) {
        this.note(written);
        this.rim.committed(written);
      }
      this.queue.done(batches);
      this.failures = 0;
      await this.parts.state.tell(this.client, this.log);
    } catch (error) {
      this.queue.putBack(batches);
      this.parts.state.failed(batches, this.failures + 1);
      await this.recover(error as Error);
    }
  }

  /** Halves what PostgreSQL refuses until the one batch that it refuses is found; only that one is given up. */
  private async write(client: pg.Client, batches: readonly QueuedBatch[], refuse?: RefuseAll): Promise<Written[]> {
    try {
      const transaction = new WriteTransaction(client, this.parts);
      const { transactionTimeoutMs } = this.parts.settings;
      const written = await withDeadline(client, transactionTimeoutMs, () => transaction.run(batches, refuse));
      this.counters.transactions += 1;
      return [written];
    } catch (error) {
      // Gone round from now on, so that this ends: each time another gap is known.
      if (this.parts.gaps.learn(error)) return this.write(client, batches, refuse);
      if (!isAboutRows(error) || refuse) throw error;
      if (batches.length === 1) {
        return this.write(client, batches, { reason: 'not_storable', message: (error as Error).message });
      }
      const half = batches.length >> 1;
      const first = await this.write(client, batches.slice(0, half));
      return [...first, ...(await this.write(client, batches.slice(half)))];
    }
  }

  private note(written: Written): void {
    const { counters } = this;
    const { totals } = written;
    counters.stored += written.stored;
    counters.duplicates += written.duplicates;
    counters.events += totals.events;
    counters.samples += totals.samples;
    counters.recordsUnmatched += totals.recordsUnmatched;
    counters.timesClamped += totals.timesClamped;
    this.noteDrops(totals);
    this.noteSetAside(written.setAside);
    for (const { batch, reason, message } of written.refused) {
      counters.refuse(reason);
      const { stream, epoch, number } = batch.header;
      this.log.say(reason, `refused batch ${batch.device} ${stream} ${epoch}/${number}: ${message}`);
    }
  }

  private noteSetAside(batches: readonly QueuedBatch[]): void {
    this.parts.state.setAside(batches);
    if (batches.length === 0) return;
    this.counters.setAside += batches.length;
    const tables = [...new Set(this.parts.gaps.current().map(({ table }) => table))].join(', ');
    this.log.say('no_partition', `${batches.length} batches wait on their devices for partitions of ${tables}`);
  }

  private noteDrops({ pointsDropped, stacksDropped, namesDropped }: RowDrops): void {
    const { counters, log } = this;
    counters.pointsBeyondSeriesMax += pointsDropped;
    counters.stacksBeyondMax += stacksDropped;
    counters.namesBeyondMax += namesDropped;
    if (stacksDropped > 0) log.say('stacks_full', `left out ${stacksDropped} stacks of runs that have too many`);
    if (namesDropped > 0) log.say('names_full', `left out ${namesDropped} names of devices that have too many`);
  }

  private async recover(error: Error): Promise<void> {
    this.counters.retries += 1;
    this.failures += 1;
    const { backoffFirstMs, backoffMaxMs } = this.parts.settings;
    const bound = Math.min(backoffMaxMs, backoffFirstMs * 2 ** Math.min(this.failures - 1, 16));
    this.log.say('retry', `nothing was stored, trying again: ${error.message}`);
    this.cut();
    await this.rim.pause(bound * (0.5 + this.rim.random() / 2));
  }

  /** A connection on which something failed is not trusted again. */
  private cut(): void {
    if (this.client) cutConnection(this.client, 'given up after an error');
    this.client = undefined;
  }
}
