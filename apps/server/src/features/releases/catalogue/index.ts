export { ReleaseCatalogueModule } from './catalogue.module.js';
export { ReleaseCatalogue, type CatalogueRelease, type ReleaseObject } from './catalogue.js';
