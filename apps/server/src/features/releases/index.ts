export { ReleasesApiModule } from './releases.module.js';
