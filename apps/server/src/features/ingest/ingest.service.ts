import { randomUUID } from 'node:crypto';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { serverFilters } from '@bpfleet/wire';
import { Config } from '../../config/config.js';
import { BlobStore } from '../../platform/blobs/blob-store.js';
import { Clock } from '../../platform/clock.js';
import { LiveBus } from '../../platform/live/live-bus.js';
import { MqttLink } from '../../platform/mqtt/mqtt-link.js';
import { Acknowledger } from './acknowledger.js';
import { BatchQueue } from './batch-queue.js';
import { BoundedLog } from './bounded-log.js';
import { IngestCounters } from './counters.js';
import { Dispatcher } from './dispatcher.js';
import { ingestDefaults, type IngestSettings } from './settings.js';
import { connectWriter } from './write/connection.js';
import { Dictionaries } from './write/dictionaries.js';
import { DeviceNames } from './write/device-names.js';
import { Gaps } from './write/gaps.js';
import { Releases } from './write/releases.js';
import { Runs } from './write/runs.js';
import { SeriesIds } from './write/series-ids.js';
import { Writer } from './write/writer.js';
import { WriterState } from './write/writer-state.js';

/** The ingest role: broker → dispatcher → queue → writer → COMMIT → acknowledgement. */
@Injectable()
export class IngestService implements OnApplicationBootstrap, OnModuleDestroy {
  readonly counters = new IngestCounters();
  private readonly logger = new Logger('Ingest');
  private readonly queue = new BatchQueue();
  private readonly stopped = new AbortController();
  private readonly dispatcher: Dispatcher;
  private readonly writer: Writer;
  private running: Promise<void> | undefined;

  constructor(
    config: Config,
    private readonly link: MqttLink,
    live: LiveBus,
    blobs: BlobStore,
    clock: Clock,
  ) {
    const nowMs = () => clock.now().getTime();
    const log = new BoundedLog((line) => this.logger.warn(line), nowMs);
    const settings: IngestSettings = { ...ingestDefaults, retentionDays: config.retentionDays };
    this.dispatcher = new Dispatcher(this.queue, this.counters, log, nowMs);
    const acknowledger = new Acknowledger(link, live, this.queue, log);
    const gaps = new Gaps(nowMs);
    const writerId = randomUUID();
    const parts = {
      writerId,
      runs: new Runs(nowMs),
      releases: new Releases(blobs, nowMs),
      names: new DeviceNames(nowMs),
      series: new SeriesIds(nowMs),
      dictionaries: new Dictionaries(nowMs),
      gaps,
      state: new WriterState(writerId, gaps, nowMs),
      nowMs,
      settings,
    };
    this.writer = new Writer(this.queue, parts, this.counters, log, {
      connect: () => connectWriter(config.databaseUrl, settings.transactionTimeoutMs, (line) => log.say('role', line)),
      committed: (written) => acknowledger.committed(written),
      pause: (ms) => pause(ms, this.stopped.signal),
      random: Math.random,
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    this.running = this.writer.run();
    await this.link.subscribe(serverFilters.telemetry, (topic, payload) => this.dispatcher.receive(topic, payload));
  }

  /** Finishes the transaction that is under way; what is queued stays unacknowledged and comes again. */
  async onModuleDestroy(): Promise<void> {
    this.stopped.abort();
    this.writer.stop();
    await this.running;
  }
}

/** Ends early, without an error, when `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
