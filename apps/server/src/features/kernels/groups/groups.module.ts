import { Module } from '@nestjs/common';
import { KernelGroups } from './kernel-groups.js';

/** For whoever hears what kernel a device runs. */
@Module({ providers: [KernelGroups], exports: [KernelGroups] })
export class KernelGroupsModule {}
