import { randomBytes } from 'node:crypto';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { downTopic, encodeMessage } from '@bpfleet/wire';
import { Clock } from '../../platform/clock.js';
import { MqttLink } from '../../platform/mqtt/mqtt-link.js';
import { Presence } from '../devices/index.js';

const ANSWER_WITHIN_MS = 90_000;

/**
 * While this process was away, wills were missed: what the rows say about presence is old. Nothing is assumed; each device
 * that is said to be online is asked to sync, and those that stay silent are offline.
 */
@Injectable()
export class PresenceCheck implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly log = new Logger('PresenceCheck');
  private deadline: NodeJS.Timeout | undefined;

  constructor(
    private readonly presence: Presence,
    private readonly link: MqttLink,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.link.onConnect(() => void this.begin().catch((error: Error) => this.log.warn(error.message)));
  }

  onModuleDestroy(): void {
    clearTimeout(this.deadline);
  }

  private async begin(): Promise<void> {
    const askedAt = await this.ask();
    clearTimeout(this.deadline);
    this.deadline = setTimeout(
      () => void this.conclude(askedAt).catch((error: Error) => this.log.warn(error.message)),
      ANSWER_WITHIN_MS,
    );
    this.deadline.unref();
  }

  /** Returns when the asking began: whoever speaks after that is there. */
  async ask(): Promise<Date> {
    const askedAt = this.clock.now();
    const expiresAt = new Date(askedAt.getTime() + ANSWER_WITHIN_MS).toISOString();
    const command = encodeMessage({ v: 1, kind: 'sync', expiresAt });
    for (const device of await this.presence.onlineDevices()) {
      const cid = randomBytes(8).toString('hex');
      await this.link.publish(downTopic(device, { kind: 'cmd', cid }), command, 1);
    }
    return askedAt;
  }

  async conclude(askedAt: Date): Promise<string[]> {
    return this.link.connected ? this.presence.silentSince(askedAt) : [];
  }
}
