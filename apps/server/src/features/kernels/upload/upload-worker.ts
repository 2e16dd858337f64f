import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { MqttLink } from '../../../platform/mqtt/mqtt-link.js';
import { Pump } from '../../desired/queue/index.js';
import { BtfUploads } from './btf-uploads.js';

const INTERVAL_MS = 10_000;

/** Asks for what is wanted, and again for what did not come. */
@Injectable()
export class UploadWorker implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly pump = new Pump(() => this.uploads.round(), INTERVAL_MS, new Logger('UploadWorker'));

  constructor(
    private readonly uploads: BtfUploads,
    private readonly link: MqttLink,
  ) {}

  onApplicationBootstrap(): void {
    this.uploads.onWanted(() => this.pump.wake());
    this.link.onConnect(() => this.pump.wake());
    this.pump.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.pump.stop();
  }
}
