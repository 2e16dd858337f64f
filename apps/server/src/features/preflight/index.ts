export { PreflightApiModule, PreflightModule } from './preflight.module.js';
export { Preflight } from './preflight.service.js';
export type { AnsweredDevice } from './summary.js';
