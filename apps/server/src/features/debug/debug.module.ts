import { Module } from '@nestjs/common';
import { DesiredQueueModule } from '../desired/queue/index.js';
import { DevicesModule } from '../devices/index.js';
import { ReleaseCatalogueModule } from '../releases/catalogue/index.js';
import { RunsModule } from '../runs/index.js';
import { DebugRuns } from './debug-runs.service.js';
import { DebugController } from './debug.controller.js';

@Module({
  imports: [DevicesModule, RunsModule, ReleaseCatalogueModule, DesiredQueueModule],
  providers: [DebugRuns],
  controllers: [DebugController],
})
export class DebugApiModule {}
