import { Module } from '@nestjs/common';
import { DesiredQueueModule } from '../desired/queue/index.js';
import { ReleaseCatalogueModule } from '../releases/catalogue/index.js';
import { KernelBtfs } from './btf/kernel-btfs.js';
import { KernelBuilds } from './btf/kernel-builds.js';
import { KernelHooks } from './btf/kernel-hooks.js';
import { KernelList } from './kernel-list.js';
import { KernelsController } from './kernels.controller.js';
import { Addenda } from './tailor/addenda.js';
import { KernelOffers } from './tailor/kernel-offers.js';
import { BtfUploads } from './upload/btf-uploads.js';
import { UploadStore } from './upload/upload-store.js';
import { UploadWorker } from './upload/upload-worker.js';
import { KernelVerdicts } from './verdicts/kernel-verdicts.js';
import { ReleaseResolver } from './verdicts/release-resolver.js';
import { ResolveWorker } from './verdicts/resolve-worker.js';

/** The types of the fleet's kernels, what they make of releases, and what is made of them for kernels that show none. */
@Module({
  imports: [ReleaseCatalogueModule, DesiredQueueModule],
  providers: [
    KernelBtfs,
    KernelBuilds,
    KernelHooks,
    KernelList,
    KernelVerdicts,
    ReleaseResolver,
    Addenda,
    KernelOffers,
  ],
  exports: [KernelBtfs, KernelBuilds, KernelHooks, KernelList, KernelVerdicts, ReleaseResolver, Addenda, KernelOffers],
})
export class KernelsModule {}

/** For the role control: fetches from devices what the server does not know, and resolves releases against what it does. */
@Module({
  imports: [KernelsModule, ReleaseCatalogueModule],
  providers: [UploadStore, BtfUploads, UploadWorker, ResolveWorker],
  exports: [BtfUploads],
})
export class KernelsControlModule {}

@Module({
  imports: [KernelsModule],
  controllers: [KernelsController],
})
export class KernelsApiModule {}
