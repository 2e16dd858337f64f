import { Module } from '@nestjs/common';
import { DesiredQueue } from './desired-queue.js';

/** For whoever gives a device reasons to run something. */
@Module({ providers: [DesiredQueue], exports: [DesiredQueue] })
export class DesiredQueueModule {}
