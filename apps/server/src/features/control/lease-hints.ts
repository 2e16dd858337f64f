import { randomBytes } from 'node:crypto';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { downTopic, encodeMessage } from '@bpfleet/wire';
import { Clock } from '../../platform/clock.js';
import { MqttLink } from '../../platform/mqtt/mqtt-link.js';
import { Pump } from '../desired/index.js';
import { Runs } from '../runs/index.js';

const LOOK_EVERY_MS = 30_000;
const HINT_EVERY_MS = 200_000;

/**
 * A debug run's lease is ten minutes, while devices sync by themselves every six hours: as long as somebody watches, the
 * device is asked to sync a few times within each lease. When this server is gone, the lease ends the run.
 */
@Injectable()
export class LeaseHints implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly pump = new Pump(() => this.hint().then(() => false), LOOK_EVERY_MS, new Logger('LeaseHints'));
  private hinted = new Map<string, number>();

  constructor(
    private readonly runs: Runs,
    private readonly link: MqttLink,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.pump.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.pump.stop();
  }

  /** Returns the devices that were asked. Each has just synced when it is first seen here: that is how its run began. */
  async hint(): Promise<string[]> {
    if (!this.link.connected) return [];
    const now = this.clock.now().getTime();
    const devices = await this.runs.onlineDevicesInDebug();
    this.hinted = new Map(devices.map((device) => [device, this.hinted.get(device) ?? now]));
    const due = devices.filter((device) => now - (this.hinted.get(device) ?? now) >= HINT_EVERY_MS);
    const expiresAt = new Date(now + HINT_EVERY_MS).toISOString();
    for (const device of due) {
      const topic = downTopic(device, { kind: 'cmd', cid: randomBytes(8).toString('hex') });
      await this.link.publish(topic, encodeMessage({ v: 1, kind: 'sync', expiresAt }), 1);
      this.hinted.set(device, now);
    }
    return due;
  }
}
