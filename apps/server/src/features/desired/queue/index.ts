export { DesiredQueue } from './desired-queue.js';
export { lockIntents } from './intents-lock.js';
export { DesiredQueueModule } from './queue.module.js';
export { notifyWork, WorkSignal, type WorkKind } from './work-signal.js';
export { Pump } from '../pump.js';
export { DEBUG_ENTRIES_MAX, ENTRIES_BYTES_MAX, entryBytes, extraBytes } from '../limits.js';
