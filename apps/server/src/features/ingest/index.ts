import { IngestModule } from './ingest.module.js';

export { IngestCounters, type DropReason, type RefusalReason } from './counters.js';
export { IngestService } from './ingest.service.js';

/** Role `ingest`. */
export const ingestModules = [IngestModule];
