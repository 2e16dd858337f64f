import { setTimeout as after } from 'node:timers/promises';
import { deviceFilter, parseDownTopic, upTopic, type DownTopic, type UpTopic } from '@bpfleet/wire';
import { AgentError } from '../agent-error.js';
import { fullJitterMs, reconnectBackoff, type Backoff } from '../core/backoff.js';
import { errorFacts, type Log } from '../log.js';
import { openConnection, type Connection } from './connection.js';

export interface LinkOptions {
  readonly device: string;
  readonly url: string;
  readonly certificate: string;
  readonly key: string;
  /** Asked at each connection: root may have brought other authorities. */
  readonly ca: () => readonly string[];
  /** Says who connects, with a connection number that is already on the disk. Its offline form is the will. */
  readonly nextBirth: () => { readonly online: Buffer; readonly offline: Buffer };
  readonly onConnect: () => void;
  readonly onDisconnect: () => void;
  readonly onMessage: (topic: DownTopic, payload: Buffer) => void;
  readonly random: () => number;
  readonly log: Log;
  readonly backoff?: Backoff;
}

/** How long the last word may take. */
const GOODBYE_MS = 1_000;
/** A link that holds this long is well: what goes wrong after that begins anew. */
const WELL_MS = 60_000;

/** The device's one outbound connection, for as long as the agent lives. */
export class Link {
  private connection: Connection | undefined;
  private birth: { readonly online: Buffer; readonly offline: Buffer } | undefined;
  private attempt = 0;
  private stopped = false;
  private timer: NodeJS.Timeout | undefined;
  private wellTimer: NodeJS.Timeout | undefined;
  /** Messages that were not for us or not of this protocol. */
  droppedMessages = 0;

  constructor(private readonly options: LinkOptions) {}

  get connected(): boolean {
    return this.connection !== undefined;
  }

  start(): void {
    void this.connect();
  }

  /** @throws AgentError LINK_DOWN */
  async publish(topic: UpTopic, payload: Buffer): Promise<void> {
    if (!this.connection) throw new AgentError('LINK_DOWN', 'there is no connection to the broker');
    await this.connection.publish(upTopic(this.options.device, topic), payload);
  }

  /** Who is here, once more. @throws AgentError LINK_DOWN */
  async publishBirth(): Promise<void> {
    if (this.birth) await this.publish({ kind: 'birth' }, this.birth.online);
  }

  /** Says that this device goes offline on purpose, then closes. Idempotent. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.wellTimer);
    const { connection, birth } = this;
    if (!connection) return;
    // On a link that has gone without a word nothing is acknowledged; the broker sends the will then.
    const told = birth && this.publish({ kind: 'birth' }, birth.offline).catch(() => undefined);
    await Promise.race([told, after(GOODBYE_MS, undefined, { ref: false })]);
    this.connection = undefined;
    await connection.end();
  }

  private async connect(): Promise<void> {
    const { device, url, certificate, key, ca, nextBirth, log } = this.options;
    try {
      // Without a number that is on the disk there is no connection: an old will would pass for a new one.
      const birth = nextBirth();
      const connection = await openConnection({
        url,
        clientId: device,
        ca: ca(),
        certificate,
        key,
        will: { topic: upTopic(device, { kind: 'birth' }), payload: birth.offline },
        onMessage: (topic, payload) => this.receive(topic, payload),
        onClose: () => this.closed(),
      });
      if (this.stopped) return await connection.end();
      this.connection = connection;
      this.birth = birth;
      await connection.subscribe(deviceFilter(device));
      await this.publishBirth();
    } catch (error) {
      log('warn', 'link.failed', errorFacts(error));
      const half = this.connection;
      this.connection = undefined;
      if (half) await half.end();
      return this.retry();
    }
    this.wellTimer = setTimeout(() => (this.attempt = 0), WELL_MS).unref();
    log('info', 'link.connected', { url });
    this.options.onConnect();
  }

  private closed(): void {
    if (!this.connection) return;
    this.connection = undefined;
    clearTimeout(this.wellTimer);
    this.options.log('warn', 'link.closed');
    this.options.onDisconnect();
    this.retry();
  }

  private retry(): void {
    if (this.stopped) return;
    // The first one has a ceiling above its minimum too: a fleet that lost its broker at one moment must not come back at one.
    this.attempt += 1;
    const waitMs = fullJitterMs(this.attempt, this.options.backoff ?? reconnectBackoff, this.options.random());
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.connect(), waitMs);
  }

  private receive(text: string, payload: Buffer): void {
    const topic = parseDownTopic(this.options.device, text);
    if (!topic) {
      this.droppedMessages += 1;
      return;
    }
    try {
      this.options.onMessage(topic, payload);
    } catch (error) {
      this.droppedMessages += 1;
      this.options.log('warn', 'link.dropped', { topic: topic.kind, ...errorFacts(error) });
    }
  }
}
