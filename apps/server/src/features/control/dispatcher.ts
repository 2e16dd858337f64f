import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { parseUpTopic, serverFilters, WireError, type UpTopic } from '@bpfleet/wire';
import { MqttLink } from '../../platform/mqtt/mqtt-link.js';
import { DeviceGate } from './device-gate.js';
import { DeviceQueues } from './device-queues.js';
import { BirthHandler } from './handlers/birth.js';
import { BlobHandler } from './handlers/blob.js';
import { GetHandler } from './handlers/get.js';
import { ReportedHandler } from './handlers/reported.js';
import { ResultHandler } from './handlers/res.js';
import { RunHandler } from './handlers/run.js';
import { SyncHandler } from './handlers/sync.js';
import type { Message, MessageHandler } from './message-handler.js';
import { Refusals } from './refusals.js';

type Handlers = { readonly [K in UpTopic['kind']]?: MessageHandler<K> };

/** The one way in for what devices say, telemetry aside: topic, sender, payload, handler, in this order. */
@Injectable()
export class ControlDispatcher implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly queues = new DeviceQueues();
  private readonly handlers: Handlers;
  private closed = false;

  constructor(
    private readonly link: MqttLink,
    private readonly gate: DeviceGate,
    private readonly refusals: Refusals,
    birth: BirthHandler,
    sync: SyncHandler,
    get: GetHandler,
    reported: ReportedHandler,
    run: RunHandler,
    res: ResultHandler,
    blob: BlobHandler,
  ) {
    this.handlers = { birth, sync, get, reported, run, res, blob };
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.link.subscribe(serverFilters.control, (topic, payload) => this.accept(topic, payload));
  }

  async onModuleDestroy(): Promise<void> {
    this.closed = true;
    await this.queues.idle();
  }

  /** Never rejects and never waits: a slow device holds up nobody else. */
  accept(topicText: string, payload: Buffer): void {
    if (this.closed) return;
    const parsed = parseUpTopic(topicText);
    if (!parsed) return this.refusals.count('WIRE_TOPIC', '(unknown)', 'the topic is none of the protocol');
    const { device, topic } = parsed;
    if (!this.queues.push(device, () => this.handle({ device, topic, payload }))) {
      this.refusals.count('QUEUE_FULL', device, 'too many of its messages are waiting');
    }
  }

  /** Resolves when what was accepted so far has been handled. */
  idle(): Promise<void> {
    return this.queues.idle();
  }

  private async handle(message: Message): Promise<void> {
    const { device, topic } = message;
    try {
      if (!(await this.gate.isActive(device))) {
        return this.refusals.count('DEVICE_UNKNOWN', device, 'there is no active device of this id');
      }
      const handler = this.handlers[topic.kind] as MessageHandler<UpTopic['kind']> | undefined;
      if (!handler) return this.refusals.count('WIRE_TOPIC', device, `nothing reads ${topic.kind} messages`);
      await handler.handle(message);
    } catch (error) {
      if (error instanceof WireError) return this.refusals.count(error.code, device, error.message);
      this.refusals.fail(topic.kind, device, error);
    }
  }
}
