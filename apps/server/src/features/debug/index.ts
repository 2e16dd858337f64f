export { DebugApiModule } from './debug.module.js';
