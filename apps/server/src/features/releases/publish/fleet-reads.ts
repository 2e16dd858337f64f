import { Injectable, Logger } from '@nestjs/common';
import type { Kernel } from '@bpfleet/api';
import { BtfError } from '@bpfleet/btf';
import { KernelBtfError, lintReads } from '../../../verify/index.js';
import { KernelBtfs, KernelList } from '../../kernels/index.js';
import type { Finding } from './build-objects.js';
import type { CheckedObject } from './check-objects.js';

/** A few tenths of a second each; the kernels that most devices run come first. */
const KERNELS_MAX = 12;
const FINDINGS_MAX = 20;

/** A kernel of the fleet, with the types that are used for it. */
interface TypedKernel {
  readonly kernel: Kernel;
  readonly source: string;
}

/**
 * Looks for reads that would load on kernels of the fleet and give garbage there (DESIGN §4.3). A warning: the release may serve
 * the other kernels, and is not offered to these.
 */
@Injectable()
export class FleetReads {
  private readonly log = new Logger('FleetReads');

  constructor(
    private readonly kernels: KernelList,
    private readonly btfs: KernelBtfs,
  ) {}

  async warnings(objects: readonly CheckedObject[]): Promise<Finding[]> {
    const relocated = objects.filter(({ object }) => object.coreRelocations.length > 0);
    if (relocated.length === 0) return [];
    const findings: Finding[] = [];
    for (const { kernel, source } of typedKernels(await this.kernels.kernels())) {
      const { kernelArch } = kernel;
      const mine = relocated.find(({ arch }) => arch === kernelArch) ?? relocated.find(({ arch }) => arch === 'any');
      if (mine) findings.push(...(await this.onKernel(mine, kernel, source)));
    }
    return findings.slice(0, FINDINGS_MAX);
  }

  private async onKernel({ object }: CheckedObject, kernel: Kernel, source: string): Promise<Finding[]> {
    const name = `${kernel.kernelRelease} (${kernel.kernelArch})`;
    try {
      const types = await this.btfs.types(source);
      if (!types) return [];
      return lintReads(object, { name, btf: types.btf }).map(({ rule, message }) => {
        return { severity: 'warning', rule, message: `${message} It is not offered to devices with that kernel.` };
      });
    } catch (error) {
      if (!(error instanceof BtfError || error instanceof KernelBtfError)) throw error;
      this.log.warn(`reads on ${name} were not compared: ${error.message}`);
      return [];
    }
  }
}

/** Those whose types the server has, each type once, the most common first. */
function typedKernels(kernels: readonly Kernel[]): TypedKernel[] {
  const found = new Map<string, TypedKernel>();
  for (const kernel of kernels) {
    const { state, digest } = kernel.btf;
    if (digest === null || (state !== 'known' && state !== 'added')) continue;
    const key = `${digest} ${kernel.kernelArch}`;
    if (!found.has(key)) found.set(key, { kernel, source: digest });
  }
  return [...found.values()].slice(0, KERNELS_MAX);
}
