export { DEFAULT_GLOBALS, globalsDigest } from './globals-digest.js';
export { LabParams } from './lab-params.js';
export { LabParamsModule } from './lab-params.module.js';
