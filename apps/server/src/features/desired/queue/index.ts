export { DesiredQueue } from './desired-queue.js';
export { DesiredQueueModule } from './queue.module.js';
export { notifyWork, WorkSignal, type WorkKind } from './work-signal.js';
