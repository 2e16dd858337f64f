import { parseDownTopic, type DownTopic } from '@bpfleet/wire';
import { BrokerOfflineError, matches, MqttLink } from '../../../platform/mqtt/mqtt-link.js';

export interface PublishedMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
}

type Handler = (topic: string, payload: Buffer) => void | Promise<void>;

/** The broker as an array, for tests: what was published is kept, what a device says is delivered by `deliver`. */
export class FakeLink extends MqttLink {
  readonly published: PublishedMessage[] = [];
  private readonly subscriptions: { filters: readonly string[]; handler: Handler }[] = [];
  private readonly listeners: (() => void)[] = [];
  private up = false;

  get connected(): boolean {
    return this.up;
  }

  async publish(topic: string, payload: Uint8Array, qos: 0 | 1 = 1): Promise<void> {
    if (!this.up) throw new BrokerOfflineError('there is no connection to the broker');
    this.published.push({ topic, payload: Buffer.from(payload), qos });
  }

  async subscribe(filters: readonly string[], handler: Handler): Promise<void> {
    this.subscriptions.push({ filters, handler });
  }

  onConnect(listener: () => void): void {
    this.listeners.push(listener);
    if (this.up) listener();
  }

  connect(): void {
    this.up = true;
    for (const listener of this.listeners) listener();
  }

  disconnect(): void {
    this.up = false;
  }

  async deliver(topic: string, payload: Buffer): Promise<void> {
    for (const { filters, handler } of this.subscriptions) {
      if (filters.some((filter) => matches(filter, topic))) await handler(topic, payload);
    }
  }

  /** What a device was sent, in order. */
  sentTo(device: string): { topic: DownTopic; payload: Buffer }[] {
    return this.published.flatMap(({ topic: text, payload }) => {
      const topic = parseDownTopic(device, text);
      return topic ? [{ topic, payload }] : [];
    });
  }

  clear(): void {
    this.published.length = 0;
  }
}
