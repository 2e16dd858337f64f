export { mintRunId } from './run-id.js';
export { attachedStates, failedStates, finalStates, isAttached, isFinal, runStateOf } from './run-machine.js';
export { RunMemory, type MapMemoryOfRuns } from './run-memory.service.js';
export { RunReports, type ReportOutcome, type ReportResult } from './run-reports.service.js';
export { RunTransitions, type NewRun, type RunMove } from './run-transitions.js';
export { RunsApiModule, RunsModule } from './runs.module.js';
export { Runs, type RunCounts, type WantedRun } from './runs.service.js';
