import { Module } from '@nestjs/common';
import { KernelsModule } from '../kernels/index.js';
import { KernelGroupsModule } from '../kernels/groups/index.js';
import { ReleaseCatalogueModule } from '../releases/catalogue/index.js';
import { LabFiles } from './kernels/lab-files.js';
import { LabKernels } from './kernels/lab-kernels.js';
import { LabList } from './kernels/lab-list.js';
import { LabController } from './lab.controller.js';
import { LabWorker } from './lab-worker.js';
import { LabMachines } from './machine/lab-machines.js';
import { QemuMachines } from './machine/qemu-machines.js';
import { LabParamsModule } from './params/index.js';
import { LabQueue } from './queue/lab-queue.js';
import { ReleaseKernels } from './release-kernels.js';
import { KernelIntroduction } from './session/kernel-introduction.js';
import { LabSession } from './session/lab-session.js';
import { ProofOrders } from './session/proof-order.js';

/** For the role api: what the lab has and says. It needs no VM, and works where nobody has the role lab. */
@Module({
  imports: [KernelsModule],
  providers: [LabFiles, LabKernels, LabList, ReleaseKernels],
  controllers: [LabController],
})
export class LabApiModule {}

/** For the role lab: boots the lab's kernels and lets them judge. */
@Module({
  imports: [KernelsModule, KernelGroupsModule, ReleaseCatalogueModule, LabParamsModule],
  providers: [
    { provide: LabMachines, useClass: QemuMachines },
    LabQueue,
    LabSession,
    KernelIntroduction,
    ProofOrders,
    LabWorker,
  ],
})
export class LabWorkerModule {}
