import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { which } from '@bpfleet/embedded';
import type { OwnKernel as VmKernel, RunningVm, VmTarget } from '@bpfleet/vm';
import { Config } from '../../../config/config.js';
import { LabMachines, MachineError, type LabMachine, type MachineOrder, type OwnKernel } from './lab-machines.js';
import { measure } from './measured-kernel.js';
import { QemuMachine } from './qemu-machine.js';
import { installVerifier } from './verifier-install.js';
import { machineErrorOf } from './vm-failures.js';

const EMULATORS = ['qemu-system-aarch64', 'qemu-system-arm'];
const MEMORY_MIB = 1024;
const JIT_SYSCTL = '/proc/sys/net/core/bpf_jit_enable';

/** VMs of libs/vm under QEMU, with the verifier put in. */
@Injectable()
export class QemuMachines extends LabMachines {
  constructor(private readonly config: Config) {
    super();
  }

  async missing(): Promise<string | undefined> {
    const lacking = EMULATORS.filter((name) => which(name) === undefined);
    return lacking.length === 0 ? undefined : `this host has no ${lacking.join(' and no ')} (package qemu-system-arm)`;
  }

  async start(order: MachineOrder, timeoutMs: number, signal: AbortSignal): Promise<LabMachine> {
    const folder = await mkdtemp(join(tmpdir(), 'bpfleet-lab-'));
    let vm: RunningVm | undefined;
    try {
      vm = await this.boot(order, folder, timeoutMs, signal);
      await setJit(vm, order.jit);
      const measured = await measure(vm);
      await installVerifier(vm, this.config.verifierMain, measured.kernel.userBits);
      return new QemuMachine(vm, measured);
    } catch (error) {
      await vm?.stop();
      // What goes wrong once it is up is told as it is: no driver was missing then.
      throw machineErrorOf(error, 'boot', { ownImage: order.own !== undefined && vm === undefined, signal });
    } finally {
      // QEMU has read the image by then.
      await rm(folder, { recursive: true, force: true });
    }
  }

  private async boot(order: MachineOrder, folder: string, timeoutMs: number, signal: AbortSignal): Promise<RunningVm> {
    // Only the role lab needs it: what it brings with it is as large as the rest of the server.
    const { startVm, VM_TARGETS } = await import('@bpfleet/vm');
    const target = VM_TARGETS.find((name): name is VmTarget => name === order.target);
    if (target === undefined) throw new MachineError('order', `this server knows no VM ${order.target}`);
    return startVm({
      target,
      ...(order.own ? { own: await filesOf(order.own, folder) } : {}),
      memoryMib: MEMORY_MIB,
      kernelArgs: order.kernelArgs,
      bootTimeoutMs: timeoutMs,
      // What it loads is not trusted: a kernel that is taken over must find no database and no server.
      isolated: true,
      // A proof can wait; the server, its database and what devices report may share this machine.
      background: true,
      signal,
    });
  }
}

/** Module names were checked where they came in, and are again by libs/vm: none leaves the folder. */
async function filesOf({ image, config, modules }: OwnKernel, folder: string): Promise<VmKernel> {
  const write = async (name: string, bytes: Buffer): Promise<string> => {
    const path = join(folder, basename(name));
    await writeFile(path, bytes);
    return path;
  };
  const paths: string[] = [];
  for (const { name, bytes } of modules) paths.push(await write(`${name}.ko`, bytes));
  return {
    image: await write('image', image),
    modules: paths,
    ...(config ? { config: await write('config', config) } : {}),
  };
}

/** A kernel that is built to compile always (CONFIG_BPF_JIT_ALWAYS_ON) takes no 0, and one without a JIT nothing else. */
async function setJit(vm: RunningVm, jit: number | null): Promise<void> {
  if (jit === null) return;
  const { code } = await vm.exec(['sh', '-c', `echo ${jit} > ${JIT_SYSCTL}`]);
  const now = (await vm.exec(['cat', JIT_SYSCTL])).stdout.toString('latin1').trim();
  if (code === 0 && now === String(jit)) return;
  throw new MachineError(
    'order',
    `this kernel does not let net.core.bpf_jit_enable be ${jit}; it stays ${now || 'unset'}`,
  );
}
