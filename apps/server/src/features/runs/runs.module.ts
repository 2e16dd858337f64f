import { Module } from '@nestjs/common';
import { RunReports } from './run-reports.service.js';
import { RunTransitions } from './run-transitions.js';
import { RunsController } from './runs.controller.js';
import { Runs } from './runs.service.js';

@Module({ providers: [Runs, RunReports, RunTransitions], exports: [Runs, RunReports, RunTransitions] })
export class RunsModule {}

@Module({ imports: [RunsModule], controllers: [RunsController] })
export class RunsApiModule {}
