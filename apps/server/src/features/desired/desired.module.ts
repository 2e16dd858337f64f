import { Module } from '@nestjs/common';
import { KernelsModule } from '../kernels/index.js';
import { ReleaseCatalogueModule } from '../releases/catalogue/index.js';
import { RunsModule } from '../runs/index.js';
import { DesiredStore } from './desired.store.js';
import { DesiredWorker } from './desired-worker.js';
import { DesiredWriter } from './desired-writer.js';
import { IntentReader } from './intent-reader.js';
import { OutboxSender } from './outbox-sender.js';
import { WorkSignal } from './queue/index.js';

/** For the role control: decides, signs, and sends. */
@Module({
  imports: [RunsModule, ReleaseCatalogueModule, KernelsModule],
  providers: [DesiredStore, IntentReader, DesiredWriter, WorkSignal, DesiredWorker, OutboxSender],
  exports: [DesiredWriter],
})
export class DesiredModule {}
