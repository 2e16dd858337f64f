import { Controller, Param } from '@nestjs/common';
import type { Readable } from 'node:stream';
import type { Lab, LabKernel, User } from '@bpfleet/api';
import { Route, RouteBody, RouteQuery, type BodyOf, type QueryOf, type ResponseOf } from '../../http/route.js';
import { readUpload, RouteUpload } from '../../http/upload.js';
import { AuditLog } from '../audit/index.js';
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
    private readonly audit: AuditLog,
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
    const details = { kind, arch, bytes: bytes.length };
    await this.audit.record({ actor: user.username, action: 'lab.file', subject: digest, details });
    return { digest, bytes: bytes.length };
  }

  /** It runs a kernel on the server's machines, and its word is believed about devices that run the same. */
  @RequireRole('admin')
  @Route('addLabKernel')
  async add(@CurrentUser() user: User, @RouteBody('addLabKernel') body: BodyOf<'addLabKernel'>): Promise<LabKernel> {
    const id = await this.kernels.add(user.username, body);
    const kernel = await this.lists.kernel(id);
    await this.audit.record({
      actor: user.username,
      action: 'lab.add',
      subject: kernel.name,
      details: { id, ...body },
    });
    return kernel;
  }

  @RequireRole('admin')
  @Route('removeLabKernel')
  async remove(@CurrentUser() user: User, @Param('id') nameOrId: string): Promise<ResponseOf<'removeLabKernel'>> {
    const gone = await this.kernels.remove(nameOrId);
    await this.audit.record({
      actor: user.username,
      action: 'lab.remove',
      subject: gone.name,
      details: { id: gone.id },
    });
    return gone;
  }

  @RequireRole('operator')
  @Route('proveInLab')
  async prove(
    @CurrentUser() user: User,
    @RouteBody('proveInLab') { releaseId, kernel }: BodyOf<'proveInLab'>,
  ): Promise<ResponseOf<'proveInLab'>> {
    const queued = await this.kernels.prove(releaseId, kernel);
    await this.audit.record({
      actor: user.username,
      action: 'lab.prove',
      subject: releaseId,
      details: { kernel, queued },
    });
    return { queued };
  }
}
