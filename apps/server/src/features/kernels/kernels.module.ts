import { Module } from '@nestjs/common';
import { KernelBtfs } from './btf/kernel-btfs.js';
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
