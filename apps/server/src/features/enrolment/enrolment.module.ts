import { Module } from '@nestjs/common';
import { AgentPackagesModule } from '../agent-packages/index.js';
import { EnrolRate } from './enrol-rate.js';
import { Enrolment } from './enrol.service.js';
import { EnrolmentController } from './enrolment.controller.js';
import { EnrolmentTokens } from './tokens.service.js';

@Module({
  imports: [AgentPackagesModule],
  providers: [EnrolmentTokens, Enrolment, EnrolRate],
  controllers: [EnrolmentController],
})
export class EnrolmentApiModule {}
