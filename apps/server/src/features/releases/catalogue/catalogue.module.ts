import { Module } from '@nestjs/common';
import { ReleaseCatalogue } from './catalogue.js';

/** What other features see of releases, without the tools that make them. */
@Module({ providers: [ReleaseCatalogue], exports: [ReleaseCatalogue] })
export class ReleaseCatalogueModule {}
