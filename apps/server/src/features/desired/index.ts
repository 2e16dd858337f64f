export { DesiredModule } from './desired.module.js';
export { DesiredWriter, GENERATION_MAX, type DesiredState } from './desired-writer.js';
export { Pump } from './pump.js';
