export { LabApiModule, LabWorkerModule } from './lab.module.js';
