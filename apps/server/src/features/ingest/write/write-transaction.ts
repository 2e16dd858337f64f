import type pg from 'pg';
import type { IngestSettings } from '../settings.js';
import { keyOf, type QueuedBatch } from '../batch-queue.js';
import type { RefusalReason } from '../counters.js';
import { timeBounds } from '../decode/event-time.js';
import { ReleaseDecoders } from '../decode/release-decoders.js';
import { Rows, type RunTally } from '../decode/rows.js';
import { BatchRefused, type Stored } from '../decode/batch-context.js';
import { storeBatch, type StoredBatch } from '../decode/store-batch.js';
import { ledgerKeyText, lockLedger, saveLedger, type LedgerKey } from '../ledger/ledger.js';
import { settle, type LedgerEntry } from '../ledger/settle.js';
import type { Dictionaries } from './dictionaries.js';
import type { DeviceNames } from './device-names.js';
import { fallsInto, type Gaps } from './gaps.js';
import type { Releases } from './releases.js';
import type { Runs, RunRow } from './runs.js';
import type { SeriesIds } from './series-ids.js';
import type { WriterState } from './writer-state.js';
import { storeRows, type RowDrops } from './store-rows.js';

export interface WriterParts {
  /** Names this writer's line in the tally. */
  readonly writerId: string;
  readonly runs: Runs;
  readonly releases: Releases;
  readonly names: DeviceNames;
  readonly series: SeriesIds;
  readonly dictionaries: Dictionaries;
  readonly gaps: Gaps;
  readonly state: WriterState;
  readonly nowMs: () => number;
  readonly settings: IngestSettings;
}

export interface Refusal {
  readonly batch: QueuedBatch;
  readonly reason: RefusalReason;
  readonly message: string;
}

/** One ledger row after COMMIT, and the numbers of it that were handled. */
export interface Settled {
  readonly key: LedgerKey;
  readonly entry: LedgerEntry;
  readonly handled: readonly number[];
}

export interface Written {
  readonly settled: readonly Settled[];
  readonly refused: readonly Refusal[];
  /** Neither stored nor settled, for want of a partition: their devices send them again. */
  readonly setAside: readonly QueuedBatch[];
  readonly stored: number;
  readonly duplicates: number;
  readonly totals: Stored & RowDrops;
  /** By device and run, for the live view. */
  readonly tallies: ReadonlyMap<RunRow, RunTally>;
}

/** Set for batches that PostgreSQL itself would not take: they are settled without another look. */
export type RefuseAll = { readonly reason: RefusalReason; readonly message: string } | undefined;

/** What happens between BEGIN and COMMIT (DESIGN §6): lock, skip what is settled, store the rest, settle. */
export class WriteTransaction {
  private readonly rows = new Rows();
  private readonly refused: Refusal[] = [];
  private readonly tallies = new Map<RunRow, RunTally>();
  private readonly totals = { events: 0, samples: 0, recordsUnmatched: 0, timesClamped: 0 };
  private readonly stored: QueuedBatch[] = [];
  private readonly setAside = new Set<QueuedBatch>();
  private duplicates = 0;

  constructor(
    private readonly client: pg.Client,
    private readonly parts: WriterParts,
  ) {}

  /** @throws PostgreSQL's or the connection's error; the transaction is then rolled back as far as that is possible */
  async run(batches: readonly QueuedBatch[], refuseAll?: RefuseAll): Promise<Written> {
    await this.client.query('BEGIN');
    try {
      const keys = keysOf(batches);
      const entries = await lockLedger(this.client, keys);
      const fresh = this.withoutSettled(batches, entries);
      if (refuseAll) this.refused.push(...fresh.map((batch) => ({ batch, ...refuseAll })));
      else await this.decodeAll(fresh);
      const { seriesIds, drops } = await storeRows(this.client, this.rows, this.parts);
      const settled = this.settle(
        keys,
        entries,
        batches.filter((batch) => !this.setAside.has(batch)),
      );
      await saveLedger(this.client, settled);
      await this.tally();
      await this.client.query('COMMIT');
      this.parts.series.remember(seriesIds);
      const { refused, duplicates, tallies } = this;
      const setAside = [...this.setAside];
      const totals = { ...this.totals, ...drops };
      return { settled, refused, setAside, duplicates, tallies, totals, stored: this.stored.length };
    } catch (error) {
      await this.client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  private withoutSettled(batches: readonly QueuedBatch[], entries: ReadonlyMap<string, LedgerEntry>): QueuedBatch[] {
    const seen = new Set<string>();
    const fresh = batches.filter((batch) => {
      const key = keyOf(batch);
      const settled = entries.get(ledgerKeyText(ledgerKeyOf(batch)))?.settled.has(batch.header.number) ?? false;
      if (settled || seen.has(key)) return false;
      seen.add(key);
      return true;
    });
    this.duplicates = batches.length - fresh.length;
    return fresh;
  }

  private async decodeAll(batches: readonly QueuedBatch[]): Promise<void> {
    const runs = await this.parts.runs.resolve(this.client, new Set(batches.map(({ header }) => header.run)));
    const { retentionDays, futureMsMax } = this.parts.settings;
    const bounds = timeBounds(this.parts.nowMs(), retentionDays, futureMsMax);
    for (const batch of batches) {
      try {
        const run = checkedRun(batch, runs.get(batch.header.run));
        const decoders = await this.decodersOf(run);
        const dictionary = await this.parts.names.dictionary(this.client, run.device, decoders.dictionaries);
        const done = storeBatch({ batch, run, decoders, rows: this.rows, dictionary }, bounds);
        if (this.fallsIntoGap(done)) {
          this.rows.rewind(done.mark);
          this.setAside.add(batch);
          continue;
        }
        this.count(run, done.stored);
        this.stored.push(batch);
      } catch (error) {
        if (!(error instanceof BatchRefused)) throw error;
        this.refused.push({ batch, reason: error.reason, message: error.message });
      }
    }
  }

  private fallsIntoGap({ mark, fromMicros, toMicros }: StoredBatch): boolean {
    const gaps = this.parts.gaps.current();
    if (gaps.length === 0) return false;
    const touched = { tables: this.rows.tablesSince(mark), fromMicros, toMicros };
    return gaps.some((gap) => fallsInto(gap, touched));
  }

  private async decodersOf(run: RunRow): Promise<ReleaseDecoders> {
    const decoders = await this.parts.releases.decodersFor(this.client, run);
    if (decoders instanceof ReleaseDecoders) return decoders;
    throw new BatchRefused('release_unreadable', `release ${run.probe} ${run.version}: ${decoders.unreadable}`);
  }

  private count(run: RunRow, stored: Stored): void {
    const tally = this.tallies.get(run) ?? { samples: 0, events: 0 };
    tally.samples += stored.samples;
    tally.events += stored.events;
    this.tallies.set(run, tally);
    for (const key of Object.keys(this.totals) as (keyof Stored)[]) this.totals[key] += stored[key];
  }

  private settle(
    keys: readonly LedgerKey[],
    entries: ReadonlyMap<string, LedgerEntry>,
    batches: readonly QueuedBatch[],
  ): Settled[] {
    return keys.flatMap((key) => {
      const text = ledgerKeyText(key);
      const mine = batches.filter((batch) => ledgerKeyText(ledgerKeyOf(batch)) === text);
      if (mine.length === 0) return [];
      const refused = this.refused.map(({ batch }) => batch).filter((batch) => mine.includes(batch));
      const received = mine.filter((batch) => !refused.includes(batch));
      const entry = settle(entries.get(text) as LedgerEntry, {
        received: received.map(({ header }) => header.number),
        refused: refused.map(({ header }) => header.number),
        lost: mine.flatMap(({ header }) => header.lost),
        // A batch is itself still held, whatever its header says.
        floor: Math.max(...mine.map(({ header }) => Math.min(header.floor, header.number))),
      });
      return [{ key, entry, handled: mine.map(({ header }) => header.number) }];
    });
  }

  private async tally(): Promise<void> {
    const { samples, events } = this.totals;
    if (samples + events === 0) return;
    const at = new Date(this.parts.nowMs());
    await this.client.query(
      `INSERT INTO telemetry.tally AS t (writer, samples, events, first_at, last_at) VALUES ($1, $2, $3, $4, $4)
       ON CONFLICT (writer) DO UPDATE SET samples = t.samples + excluded.samples, events = t.events + excluded.events,
         first_at = coalesce(t.first_at, excluded.first_at), last_at = excluded.last_at, updated_at = now()`,
      [this.parts.writerId, samples, events, at],
    );
  }
}

function checkedRun(batch: QueuedBatch, run: RunRow | undefined): RunRow {
  const { header, device } = batch;
  if (run === undefined) throw new BatchRefused('run_unknown', `there is no run ${header.run}`);
  if (run.device !== device) {
    throw new BatchRefused('run_of_another_device', `run ${header.run} is not of ${device}`);
  }
  if (run.releaseDigest !== header.release) {
    throw new BatchRefused('release_mismatch', `run ${header.run} is not of release ${header.release}`);
  }
  return run;
}

function ledgerKeyOf({ device, header }: QueuedBatch): LedgerKey {
  return { device, stream: header.stream, epoch: header.epoch };
}

function keysOf(batches: readonly QueuedBatch[]): LedgerKey[] {
  return [...new Map(batches.map((batch) => [ledgerKeyText(ledgerKeyOf(batch)), ledgerKeyOf(batch)])).values()];
}
