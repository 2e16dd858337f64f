import { Controller, Param } from '@nestjs/common';
import type { Readable } from 'node:stream';
import type { Lab, LabKernel, User } from '@bpfleet/api';
import { Route, RouteBody, RouteQuery, type BodyOf, type QueryOf, type ResponseOf } from '../../http/route.js';
import { readUpload, RouteUpload } from '../../http/upload.js';
import { CurrentUser, RequireRole } from '../session/index.js';
import { LAB_FILE_BYTES_MAX, LabFiles } from './kernels/lab-files.js';
import { LabKernels } from './kernels/lab-kernels.js';
import { LabList } from './kernels/lab-list.js';
import { ReleaseKernels } from './release-kernels.js';

@Controller()
export class LabController {
  constructor(
    private readonly kernels: LabKernels,
    private readonly files: LabFiles,
    private readonly lists: LabList,
    private readonly releaseKernels: ReleaseKernels,
  ) {}

  @Route('getLab')
  lab(): Promise<Lab> {
    return this.lists.lab();
  }

  @Route('getReleaseKernels')
  async ofRelease(@Param('id') id: string): Promise<ResponseOf<'getReleaseKernels'>> {
    return { items: await this.releaseKernels.of(id) };
  }

  @RequireRole('admin')
  @Route('addLabFile')
  async addFile(
    @CurrentUser() user: User,
    @RouteQuery('addLabFile') { kind, arch }: QueryOf<'addLabFile'>,
    @RouteUpload() upload: Readable,
  ): Promise<ResponseOf<'addLabFile'>> {
    const bytes = await readUpload(upload, LAB_FILE_BYTES_MAX[kind]);
    const digest = await this.files.add(user.username, kind, arch, bytes);
    return { digest, bytes: bytes.length };
  }

  /** It runs a kernel on the server's machines, and its word is believed about devices that run the same. */
  @RequireRole('admin')
  @Route('addLabKernel')
  async add(@CurrentUser() user: User, @RouteBody('addLabKernel') body: BodyOf<'addLabKernel'>): Promise<LabKernel> {
    const id = await this.kernels.add(user.username, body);
    return this.lists.kernel(id);
  }

  @RequireRole('admin')
  @Route('removeLabKernel')
  remove(@CurrentUser() user: User, @Param('id') nameOrId: string): Promise<ResponseOf<'removeLabKernel'>> {
    return this.kernels.remove(user.username, nameOrId);
  }

  @RequireRole('operator')
  @Route('proveInLab')
  async prove(
    @CurrentUser() user: User,
    @RouteBody('proveInLab') { releaseId, kernel }: BodyOf<'proveInLab'>,
  ): Promise<ResponseOf<'proveInLab'>> {
    return { queued: await this.kernels.prove(user.username, releaseId, kernel) };
  }
}
