import { Module } from '@nestjs/common';
import { DesiredQueueModule } from '../desired/queue/index.js';
import { KernelBtfs } from './btf/kernel-btfs.js';
import { KernelBuilds } from './btf/kernel-builds.js';
import { KernelList } from './kernel-list.js';
import { KernelsController } from './kernels.controller.js';
import { BtfUploads } from './upload/btf-uploads.js';
import { UploadStore } from './upload/upload-store.js';
import { UploadWorker } from './upload/upload-worker.js';

/** The types of the fleet's kernels. */
@Module({ providers: [KernelBtfs], exports: [KernelBtfs] })
export class KernelsModule {}

/** For the role control: fetches from devices what the server does not know. */
@Module({
  imports: [KernelsModule],
  providers: [UploadStore, BtfUploads, UploadWorker],
  exports: [BtfUploads],
})
export class BtfUploadModule {}

@Module({
  imports: [KernelsModule, DesiredQueueModule],
  providers: [KernelList, KernelBuilds],
  controllers: [KernelsController],
})
export class KernelsApiModule {}
