import { Module } from '@nestjs/common';
import { TelemetryMaintenance } from './maintenance.js';
import { TelemetrySchemaModule } from './schema.module.js';
import { StoreTime } from './upkeep.js';

@Module({
  imports: [TelemetrySchemaModule],
  providers: [TelemetryMaintenance, StoreTime],
  exports: [TelemetryMaintenance],
})
export class TelemetryMaintenanceModule {}
