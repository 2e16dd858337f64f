import type pg from 'pg';
import type { QueuedBatch } from '../batch-queue.js';
import type { BoundedLog } from '../bounded-log.js';
import type { Gaps } from './gaps.js';

/** A device whose batch was left to it sends it again well before. */
const TROUBLE_MS = 5 * 60_000;
const TELL_EVERY_MS = 30_000;
/** One failure is a restart of PostgreSQL, or a deadlock. */
const FAILURES_LEAST = 3;

/** What a writer cannot write, told to the store, where whoever asks how the server is finds it (`/api/health`). */
export class WriterState {
  private oldestMs: number | undefined;
  private troubleUntilMs = -Infinity;
  private tables = new Set<string>();
  private isTold = false;
  private toldAtMs = -Infinity;

  constructor(
    private readonly writerId: string,
    private readonly gaps: Gaps,
    private readonly nowMs: () => number,
  ) {}

  setAside(batches: readonly QueuedBatch[]): void {
    if (batches.length === 0) return;
    this.trouble(batches);
    for (const { table } of this.gaps.current()) this.tables.add(table);
  }

  /** Batches that were put back, for the so manieth time in a row. */
  failed(batches: readonly QueuedBatch[], failures: number): void {
    if (failures >= FAILURES_LEAST) this.trouble(batches);
  }

  /** Only when there is something new to tell. Never throws: telling must not keep anything from being written. */
  async tell(client: pg.ClientBase, log: BoundedLog): Promise<void> {
    const now = this.nowMs();
    const isInTrouble = now < this.troubleUntilMs;
    if (!isInTrouble) {
      this.oldestMs = undefined;
      this.tables = new Set();
    }
    if (isInTrouble ? this.isTold && now - this.toldAtMs < TELL_EVERY_MS : !this.isTold) return;
    this.isTold = isInTrouble;
    this.toldAtMs = now;
    const since = this.oldestMs === undefined ? null : new Date(this.oldestMs);
    try {
      await client.query(
        `INSERT INTO telemetry.writer (writer, waiting_since, without_room) VALUES ($1, $2, $3)
         ON CONFLICT (writer) DO UPDATE SET waiting_since = excluded.waiting_since, without_room = excluded.without_room,
           updated_at = now()`,
        [this.writerId, since, [...this.tables].sort()],
      );
    } catch (error) {
      log.say('writer_state', `its state could not be told: ${(error as Error).message}`);
    }
  }

  private trouble(batches: readonly QueuedBatch[]): void {
    this.troubleUntilMs = this.nowMs() + TROUBLE_MS;
    for (const { receivedAtMs } of batches) this.oldestMs = Math.min(this.oldestMs ?? Infinity, receivedAtMs);
  }
}
