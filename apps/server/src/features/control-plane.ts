import type { Type } from '@nestjs/common';
import { AssignmentsApiModule } from './assignments/index.js';
import { AuditApiModule } from './audit/index.js';
import { ControlModule } from './control/index.js';
import { DebugApiModule } from './debug/index.js';
import { DevicesApiModule } from './devices/index.js';
import { EnrolmentApiModule } from './enrolment/index.js';
import { KernelsApiModule } from './kernels/index.js';
import { PreflightApiModule } from './preflight/index.js';
import { LabApiModule, LabWorkerModule } from './lab/index.js';
import { ReleasesApiModule } from './releases/index.js';
import { RunsApiModule } from './runs/index.js';

/** What the role api serves of the control plane. */
export const apiModules: readonly Type[] = [
  DevicesApiModule,
  EnrolmentApiModule,
  ReleasesApiModule,
  AssignmentsApiModule,
  RunsApiModule,
  DebugApiModule,
  KernelsApiModule,
  PreflightApiModule,
  LabApiModule,
  AuditApiModule,
];

/** What the role control does. */
export const controlModules: readonly Type[] = [ControlModule];

/** What the role lab does. */
export const labModules: readonly Type[] = [LabWorkerModule];
