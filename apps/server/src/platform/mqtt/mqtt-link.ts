import type { Socket } from 'node:net';
import { Logger } from '@nestjs/common';
import { limits } from '@bpfleet/wire';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';

/** What features see of the broker; the fake in tests is this face over an array. */
export abstract class MqttLink {
  abstract readonly connected: boolean;
  /** Resolves when the broker has taken it (QoS 1: PUBACK). Rejects with BROKER_OFFLINE while there is no connection. */
  abstract publish(topic: string, payload: Uint8Array, qos?: 0 | 1): Promise<void>;
  /** Filters are subscribed again at every connect. A handler's failure is logged and never reaches the broker. */
  abstract subscribe(
    filters: readonly string[],
    handler: (topic: string, payload: Buffer) => void | Promise<void>,
  ): Promise<void>;
  /** Called after each connect, once everything is subscribed. */
  abstract onConnect(listener: () => void): void;
}

export class BrokerOfflineError extends Error {
  override readonly name = 'BrokerOfflineError';
  readonly code = 'BROKER_OFFLINE';
}

export interface MqttLinkOptions {
  readonly url: string;
  readonly clientId: string;
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
  /** 0 ≤ random() < 1; injected so that reconnecting can be tested. */
  readonly random?: () => number;
}

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 15_000;

interface Subscription {
  readonly filters: readonly string[];
  readonly handler: (topic: string, payload: Buffer) => void | Promise<void>;
}

/**
 * One connection per process. mqtt.js reconnects on a fixed timer without jitter, so its own is off and this one makes a
 * new client after a random wait whose bound doubles.
 */
export class BrokerLink extends MqttLink {
  private readonly log = new Logger('BrokerLink');
  private readonly subscriptions: Subscription[] = [];
  private readonly connectListeners: (() => void)[] = [];
  private client: MqttClient | undefined;
  private attempt = 0;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  private ready = false;

  constructor(private readonly options: MqttLinkOptions) {
    super();
  }

  get connected(): boolean {
    return this.ready;
  }

  start(): void {
    if (this.closed || this.client) return;
    const client = mqtt.connect(this.options.url, this.clientOptions());
    this.client = client;
    client.on('connect', () => void this.onConnected(client));
    client.on('message', (topic, payload) => this.dispatch(topic, payload));
    client.on('error', (error) => this.log.warn(`broker: ${error.message}`));
    client.on('close', () => this.onClosed(client));
  }

  private clientOptions(): IClientOptions {
    return {
      clientId: this.options.clientId,
      protocolVersion: 4,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: 10_000,
      keepalive: 30,
      resubscribe: false,
      queueQoSZero: false,
      ca: this.options.tls.ca,
      cert: this.options.tls.cert,
      key: this.options.tls.key,
      rejectUnauthorized: true,
    };
  }

  private async onConnected(client: MqttClient): Promise<void> {
    // mqtt.js leaves Nagle on, which costs 40 ms a small packet.
    (client.stream as unknown as Socket).setNoDelay?.(true);
    this.attempt = 0;
    try {
      for (const { filters } of this.subscriptions) await client.subscribeAsync([...filters], { qos: 1 });
    } catch (error) {
      this.log.warn(`cannot subscribe: ${(error as Error).message}`);
      client.end(true);
      return;
    }
    this.ready = true;
    for (const listener of this.connectListeners) listener();
  }

  private onClosed(client: MqttClient): void {
    if (client !== this.client) return;
    this.client = undefined;
    this.ready = false;
    client.end(true);
    if (this.closed) return;
    const bound = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(this.attempt++, 10));
    const waitMs = 100 + (this.options.random ?? Math.random)() * bound;
    this.timer = setTimeout(() => this.start(), waitMs);
  }

  private dispatch(topic: string, payload: Buffer): void {
    for (const { filters, handler } of this.subscriptions) {
      if (!filters.some((filter) => matches(filter, topic))) continue;
      Promise.resolve()
        .then(() => handler(topic, payload))
        .catch((error: Error) => this.log.error(`handler of ${topic}: ${error.stack ?? error.message}`));
    }
  }

  async publish(topic: string, payload: Uint8Array, qos: 0 | 1 = 1): Promise<void> {
    if (payload.length > limits.packetBytesMax - 1024) {
      throw new RangeError(`a message of ${payload.length} bytes does not fit a packet of ${limits.packetBytesMax}`);
    }
    const client = this.client;
    if (!client || !this.ready) throw new BrokerOfflineError('there is no connection to the broker');
    try {
      await client.publishAsync(topic, Buffer.from(payload), { qos });
    } catch (error) {
      // onClosed ends the client, and ending it is what makes mqtt.js settle what it still holds.
      throw new BrokerOfflineError(`the broker did not take it: ${(error as Error).message}`);
    }
  }

  async subscribe(filters: readonly string[], handler: Subscription['handler']): Promise<void> {
    this.subscriptions.push({ filters, handler });
    if (this.ready) await this.client?.subscribeAsync([...filters], { qos: 1 });
  }

  onConnect(listener: () => void): void {
    this.connectListeners.push(listener);
    if (this.ready) listener();
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    this.ready = false;
    await this.client?.endAsync(true);
  }
}

/** MQTT filter matching for `+` and a trailing `#` (MQTT 3.1.1 §4.7). */
export function matches(filter: string, topic: string): boolean {
  const levels = topic.split('/');
  const wanted = filter.split('/');
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return true;
    if (index >= levels.length || (level !== '+' && level !== levels[index])) return false;
  }
  return wanted.length === levels.length;
}
