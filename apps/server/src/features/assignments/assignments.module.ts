import { Module } from '@nestjs/common';
import { DesiredQueueModule } from '../desired/queue/index.js';
import { DevicesModule } from '../devices/index.js';
import { ReleaseCatalogueModule } from '../releases/catalogue/index.js';
import { RunsModule } from '../runs/index.js';
import { AssignmentsController } from './assignments.controller.js';
import { Assignments } from './assignments.service.js';
import { MatchCounts } from './match-counts.js';

@Module({
  imports: [DevicesModule, RunsModule, ReleaseCatalogueModule, DesiredQueueModule],
  providers: [Assignments, MatchCounts],
  controllers: [AssignmentsController],
})
export class AssignmentsApiModule {}
