import type { LiveEvent } from '@bpfleet/api';
import { downTopic, encodeMessage, limits, type Ack, type Stream } from '@bpfleet/wire';
import type { BatchQueue } from './batch-queue.js';
import type { BoundedLog } from './bounded-log.js';
import { ackRanges } from './ledger/settle.js';
import type { Settled, Written } from './write/write-transaction.js';

export interface AckPublisher {
  publish(topic: string, payload: Uint8Array, qos?: 0 | 1): Promise<void>;
}

export interface LivePublisher {
  publish(event: LiveEvent): Promise<void>;
}

/** Live events of one transaction; a view that misses some reads again what is on the screen. */
const LIVE_EVENTS_MAX = 64;

/** Tells devices what is on disk, and viewers that there is something to read. Neither is waited for nor needed: a device that heard nothing asks again. */
export class Acknowledger {
  constructor(
    private readonly link: AckPublisher,
    private readonly live: LivePublisher,
    private readonly queue: Pick<BatchQueue, 'window'>,
    private readonly log: BoundedLog,
  ) {}

  /** Only after COMMIT. Never throws. */
  committed(written: Written): void {
    for (const settled of written.settled) {
      const { device, stream } = settled.key;
      const topic = downTopic(device, { kind: 'ack', stream: stream as Stream });
      this.send('ack', this.link.publish(topic, encodeMessage(this.ackOf(settled)), 0));
    }
    for (const event of liveEventsOf(written)) this.send('live', this.live.publish(event));
  }

  private ackOf({ key, entry, handled }: Settled): Ack {
    return {
      v: 1,
      epoch: key.epoch,
      ranges: ackRanges(entry.settled, handled, limits.ackRangesMax).map(([first, last]) => [first, last]),
      window: this.queue.window,
    };
  }

  private send(what: string, sending: Promise<void>): void {
    sending.catch((error: Error) => this.log.say(what, `${what} not sent: ${error.message}`));
  }
}

function liveEventsOf({ tallies }: Written): LiveEvent[] {
  return [...tallies]
    .filter(([, { samples, events }]) => samples + events > 0)
    .slice(0, LIVE_EVENTS_MAX)
    .map(([run, { samples, events }]) => ({ type: 'telemetry', device: run.device, run: run.id, samples, events }));
}
