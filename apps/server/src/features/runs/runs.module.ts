import { Module } from '@nestjs/common';
import { RunMemory } from './run-memory.service.js';
import { RunReports } from './run-reports.service.js';
import { RunTransitions } from './run-transitions.js';
import { RunsController } from './runs.controller.js';
import { Runs } from './runs.service.js';

const services = [Runs, RunMemory, RunReports, RunTransitions];

@Module({ providers: services, exports: services })
export class RunsModule {}

@Module({ imports: [RunsModule], controllers: [RunsController] })
export class RunsApiModule {}
