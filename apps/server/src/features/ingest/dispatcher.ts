import { decodeBatchHeader, parseUpTopic, WireError } from '@bpfleet/wire';
import type { BatchQueue } from './batch-queue.js';
import type { BoundedLog } from './bounded-log.js';
import type { DropReason, IngestCounters } from './counters.js';

/**
 * From an MQTT message to the queue. Only the header is read here: a batch with a header that cannot be read has no
 * number, so it can neither be settled nor acknowledged; it is dropped, counted and said, and stops no other batch.
 */
export class Dispatcher {
  constructor(
    private readonly queue: BatchQueue,
    private readonly counters: IngestCounters,
    private readonly log: BoundedLog,
    private readonly nowMs: () => number,
  ) {}

  /** Never throws. `payload` is not kept. */
  receive(topicText: string, payload: Uint8Array): void {
    const parsed = parseUpTopic(topicText);
    if (parsed?.topic.kind !== 'telemetry') return this.drop('topic', `${JSON.stringify(topicText)} is no telemetry`);
    const { device, topic } = parsed;
    try {
      const { header, body } = decodeBatchHeader(payload);
      if (header.stream !== topic.stream) {
        return this.drop('header_mismatch', `${device} sent a batch of ${header.stream} as ${topic.stream}`);
      }
      // The payload is a slice of a larger buffer of the connection, which a queued batch would keep alive.
      const batch = { device, header, body: Uint8Array.from(body), receivedAtMs: this.nowMs() };
      const outcome = this.queue.offer(batch);
      if (outcome === 'full') this.drop('queue_full', `no room for a batch of ${device}; it will send it again`);
      if (outcome === 'duplicate') this.counters.duplicates += 1;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.drop('header', `a batch of ${device} cannot be read: ${error.message}`);
    }
  }

  private drop(reason: DropReason, line: string): void {
    this.counters.drop(reason);
    this.log.say(reason, line);
  }
}
