import { Module } from '@nestjs/common';
import { DesiredQueueModule } from '../desired/queue/index.js';
import { KernelGroupsModule } from '../kernels/groups/index.js';
import { RunsModule } from '../runs/index.js';
import { DevicesController } from './devices.controller.js';
import { Devices } from './devices.service.js';
import { Presence } from './presence.service.js';
import { Revocation } from './revocation.service.js';
import { ReportedState } from './reported.service.js';

@Module({
  imports: [RunsModule, DesiredQueueModule, KernelGroupsModule],
  providers: [Devices, Presence, ReportedState, Revocation],
  exports: [Devices, Presence, ReportedState, Revocation],
})
export class DevicesModule {}

@Module({ imports: [DevicesModule], controllers: [DevicesController] })
export class DevicesApiModule {}
