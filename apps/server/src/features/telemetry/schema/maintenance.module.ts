import { Module } from '@nestjs/common';
import { TelemetryMaintenance } from './maintenance.js';
import { TelemetrySchemaModule } from './schema.module.js';

@Module({ imports: [TelemetrySchemaModule], providers: [TelemetryMaintenance], exports: [TelemetryMaintenance] })
export class TelemetryMaintenanceModule {}
