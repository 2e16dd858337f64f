import { Module } from '@nestjs/common';
import { DesiredModule } from '../desired/index.js';
import { DesiredQueueModule } from '../desired/queue/index.js';
import { DevicesModule } from '../devices/index.js';
import { KernelsControlModule, KernelsModule } from '../kernels/index.js';
import { ReleaseCatalogueModule } from '../releases/catalogue/index.js';
import { RunsModule } from '../runs/index.js';
import { DeviceGate } from './device-gate.js';
import { ControlDispatcher } from './dispatcher.js';
import { BirthHandler } from './handlers/birth.js';
import { BlobHandler } from './handlers/blob.js';
import { GetHandler } from './handlers/get.js';
import { ReportedHandler } from './handlers/reported.js';
import { ResultHandler } from './handlers/res.js';
import { RunHandler } from './handlers/run.js';
import { SyncHandler } from './handlers/sync.js';
import { LeaseHints } from './lease-hints.js';
import { PresenceCheck } from './presence-check.js';
import { Refusals } from './refusals.js';
import { RunIntake } from './run-intake.js';

/** The role control: hears devices, decides what they should run, and sends it. */
@Module({
  imports: [
    DesiredModule,
    DesiredQueueModule,
    DevicesModule,
    RunsModule,
    ReleaseCatalogueModule,
    KernelsModule,
    KernelsControlModule,
  ],
  providers: [
    ControlDispatcher,
    DeviceGate,
    Refusals,
    RunIntake,
    PresenceCheck,
    LeaseHints,
    BirthHandler,
    SyncHandler,
    BlobHandler,
    GetHandler,
    ReportedHandler,
    RunHandler,
    ResultHandler,
  ],
  exports: [ControlDispatcher, PresenceCheck, Refusals],
})
export class ControlModule {}
