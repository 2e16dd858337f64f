export { LabFeatures } from './lab-features.js';
export { LabFeaturesModule } from './lab-features.module.js';
