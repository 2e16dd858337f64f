import { Module } from '@nestjs/common';
import { KernelsModule } from '../kernels/index.js';
import { RunsModule } from '../runs/index.js';
import { telemetryApiModules } from '../telemetry/index.js';
import { ObjectBuilder } from './publish/build-objects.js';
import { ObjectChecker } from './publish/check-objects.js';
import { FleetReads } from './publish/fleet-reads.js';
import { Prover } from './publish/prover.js';
import { Publisher } from './publish/publish.service.js';
import { ReleaseSigner } from './publish/sign-release.js';
import { VerifyTools } from './publish/verify-tools.js';
import { ReleasesController } from './releases.controller.js';
import { Releases } from './releases.service.js';

@Module({
  imports: [RunsModule, KernelsModule, ...telemetryApiModules],
  providers: [Releases, Publisher, ObjectBuilder, ObjectChecker, FleetReads, Prover, ReleaseSigner, VerifyTools],
  controllers: [ReleasesController],
})
export class ReleasesApiModule {}
