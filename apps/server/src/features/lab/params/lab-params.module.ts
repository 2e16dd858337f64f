import { Module } from '@nestjs/common';
import { ReleaseCatalogueModule } from '../../releases/catalogue/index.js';
import { LabParams } from './lab-params.js';

@Module({ imports: [ReleaseCatalogueModule], providers: [LabParams], exports: [LabParams] })
export class LabParamsModule {}
