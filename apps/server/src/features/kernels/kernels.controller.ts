import { Controller, Param } from '@nestjs/common';
import type { Readable } from 'node:stream';
import { BTF_BYTES_MAX, type KernelBtf, type User } from '@bpfleet/api';
import { Route, RouteQuery, type QueryOf, type ResponseOf } from '../../http/route.js';
import { readUpload, RouteUpload } from '../../http/upload.js';
import { CurrentUser, RequireRole } from '../session/index.js';
import { KernelBuilds } from './btf/kernel-builds.js';
import { KernelList } from './kernel-list.js';

@Controller()
export class KernelsController {
  constructor(
    private readonly kernels: KernelList,
    private readonly builds: KernelBuilds,
  ) {}

  @Route('listKernels')
  async list(): Promise<ResponseOf<'listKernels'>> {
    return { items: await this.kernels.kernels() };
  }

  @Route('getDeviceKernel')
  async ofDevice(@Param('id') id: string): Promise<ResponseOf<'getDeviceKernel'>> {
    return { kernel: await this.kernels.kernelOf(id) };
  }

  @Route('listBtf')
  async btfs(): Promise<ResponseOf<'listBtf'>> {
    return { items: await this.kernels.btfs() };
  }

  /** It decides at which offsets signed code reads in kernels that show no types of their own. */
  @RequireRole('admin')
  @Route('addBtf')
  async add(
    @CurrentUser() user: User,
    @RouteQuery('addBtf') query: QueryOf<'addBtf'>,
    @RouteUpload() upload: Readable,
  ): Promise<KernelBtf> {
    const { buildId, release, arch } = query;
    const bytes = await readUpload(upload, BTF_BYTES_MAX);
    const replace = query.replace === 'true';
    const digest = await this.builds.add(user.username, { bytes, buildId, release, arch, replace });
    return this.kernels.btf(digest);
  }
}
