import { Module } from '@nestjs/common';
import { DevicesModule } from '../devices/index.js';
import { KernelsModule } from '../kernels/index.js';
import { LabFeaturesModule } from '../lab/features/index.js';
import { LabParamsModule } from '../lab/params/index.js';
import { ReleaseCatalogueModule } from '../releases/catalogue/index.js';
import { RunsModule } from '../runs/index.js';
import { PreflightController } from './preflight.controller.js';
import { Preflight } from './preflight.service.js';
import { ReleaseReader } from './release-reader.js';
import { KernelUpgrade } from './upgrade/kernel-upgrade.service.js';
import { VerdictReader } from './verdict-reader.js';

@Module({
  imports: [DevicesModule, KernelsModule, LabFeaturesModule, LabParamsModule, ReleaseCatalogueModule, RunsModule],
  providers: [ReleaseReader, VerdictReader, Preflight, KernelUpgrade],
  exports: [Preflight, KernelUpgrade],
})
export class PreflightModule {}

@Module({ imports: [PreflightModule], controllers: [PreflightController] })
export class PreflightApiModule {}
