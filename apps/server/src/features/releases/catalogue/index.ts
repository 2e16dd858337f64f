export { ReleaseCatalogueModule } from './catalogue.module.js';
export { checkParams } from './check-params.js';
export { LIVE_RELEASES } from './live-releases.js';
export { ReleaseCatalogue, type CatalogueRelease, type ReleaseObject, type ServerVerdict } from './catalogue.js';
