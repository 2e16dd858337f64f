import { TelemetryQueryModule } from './query/query.module.js';
import { TelemetryMaintenanceModule } from './schema/maintenance.module.js';
import { TelemetrySchemaModule } from './schema/schema.module.js';

export { columnsFor, FIXED_COLUMNS, type EventTableColumn } from './schema/event-table-plan.js';
export { columnsOfTable, EventTables, type ReleaseSchema } from './schema/event-tables.js';
export { weekOf } from './schema/partition-plan.js';
export { normalNameId } from './name-id.js';
export { INGEST_ROLE, telemetryLimits } from './schema/settings.js';
export { storeHealth, type StoreHealth } from './query/store-health.js';
export { TelemetryError } from './schema/telemetry-error.js';

/** Role `api`: the schema, what publishing needs of it, and queries. */
export const telemetryApiModules = [TelemetrySchemaModule, TelemetryQueryModule];

/** Role `control`: the schema, partitions and retention. */
export const telemetryOwnerModules = [TelemetrySchemaModule, TelemetryMaintenanceModule];
