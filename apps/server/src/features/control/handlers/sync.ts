import { Injectable } from '@nestjs/common';
import { signDocument } from '@bpfleet/trust';
import { downTopic, parseMessage, syncSchema, WireError, type Sync } from '@bpfleet/wire';
import { Clock } from '../../../platform/clock.js';
import { ServerKeys } from '../../../platform/keys/server-keys.js';
import { MqttLink } from '../../../platform/mqtt/mqtt-link.js';
import { PrismaService } from '../../../platform/prisma/prisma.service.js';
import { DesiredWriter, GENERATION_MAX } from '../../desired/index.js';
import { Presence } from '../../devices/index.js';
import type { Message, MessageHandler } from '../message-handler.js';

interface Current {
  readonly generation: number;
  readonly digest: string;
  readonly envelope: Uint8Array;
}

/**
 * `up/sync`: "is what I hold still what you want?" Answered with the desired state when it is not, and always with a
 * `fresh` that echoes the nonce: no retained or replayed message can say that.
 */
@Injectable()
export class SyncHandler implements MessageHandler<'sync'> {
  constructor(
    private readonly prisma: PrismaService,
    private readonly writer: DesiredWriter,
    private readonly presence: Presence,
    private readonly keys: ServerKeys,
    private readonly link: MqttLink,
    private readonly clock: Clock,
  ) {}

  async handle({ device, payload }: Message<'sync'>): Promise<void> {
    const sync = parseMessage(syncSchema, payload);
    if (sync.held.generation >= GENERATION_MAX) {
      throw new WireError('WIRE_MESSAGE', `held.generation: ${sync.held.generation} is beyond what any server signs`);
    }
    await this.presence.seen(device);
    const current = await this.currentFor(device, sync.held);
    if (!current) return;
    if (current.digest !== sync.held.desired || current.generation !== sync.held.generation) {
      await this.link.publish(downTopic(device, { kind: 'desired' }), current.envelope, 1);
    }
    await this.link.publish(downTopic(device, { kind: 'fresh' }), this.fresh(device, sync.nonce, current), 1);
    await this.writer.offer(device);
  }

  /** What this device should hold; made now when there is nothing yet, or when the device holds something newer than we do. */
  private async currentFor(device: string, held: Sync['held']): Promise<Current | undefined> {
    const row = await this.prisma.device.findUnique({
      where: { id: device },
      select: { desiredGeneration: true, desiredDigest: true, desiredEnvelope: true },
    });
    if (!row) return undefined;
    const { desiredGeneration: generation, desiredDigest: digest, desiredEnvelope: envelope } = row;
    const ahead = held.generation > generation;
    const forked = held.generation === generation && held.desired !== null && held.desired !== digest;
    if (envelope && digest && !ahead && !forked) return { generation, digest, envelope };
    return this.writer.refresh(device, ahead || forked ? { above: held.generation } : {});
  }

  private fresh(device: string, nonce: string, { generation, digest }: Current): Buffer {
    const digests = { root: this.keys.root.digest, desired: digest, revocation: null };
    const time = this.clock.now().toISOString();
    return signDocument('fresh', { type: 'fresh', device, nonce, time, generation, digests }, [this.keys.director]);
  }
}
