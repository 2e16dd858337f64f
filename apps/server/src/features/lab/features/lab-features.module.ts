import { Module } from '@nestjs/common';
import { LabFeatures } from './lab-features.js';

@Module({ providers: [LabFeatures], exports: [LabFeatures] })
export class LabFeaturesModule {}
