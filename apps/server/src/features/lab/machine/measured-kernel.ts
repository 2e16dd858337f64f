import { gnuBuildId } from '@bpfleet/btf';
import { BTF_BYTES_MAX } from '@bpfleet/api';
import type { RunningVm } from '@bpfleet/vm';
import { MachineError, type MeasuredKernel } from './lab-machines.js';

export interface Measured {
  readonly kernel: MeasuredKernel;
  readonly btf: Buffer | undefined;
}

const BTF_FILE = '/sys/kernel/btf/vmlinux';
const DEFAULT_PAGE_BYTES = 4096;
const TEXT_MAX = 256;
const LSM_MAX = 32;

/** What an agent in that VM would report (apps/agent kernel/facts.ts), so that the VM is of the group of devices like it. */
export async function measure(vm: RunningVm): Promise<Measured> {
  const read = async (path: string): Promise<string> => {
    const { stdout } = await vm.exec(['cat', path]);
    return stdout.toString('latin1').trim();
  };
  const enabled = await read('/proc/sys/net/core/bpf_jit_enable');
  const hardened = await read('/proc/sys/net/core/bpf_jit_harden');
  const lsm = (await read('/sys/kernel/security/lsm')).slice(0, TEXT_MAX);
  // A board's kernel may have no smaps (CONFIG_PROC_PAGE_MONITOR): the agent takes its pages for 4 KiB then, and so is it here.
  const smaps = await vm.exec(['awk', '/^KernelPageSize:/ { print $2; exit }', '/proc/self/smaps']);
  const pageKib = smaps.stdout.toString('latin1').trim();
  const user = (await vm.output(['node', '-p', 'process.arch'])).trim();
  const kernel: MeasuredKernel = {
    kernelRelease: vm.guest.release.slice(0, TEXT_MAX),
    kernelArch: archOf(vm.guest.machine),
    kernelBuildId: gnuBuildId(await vm.get('/sys/kernel/notes')) ?? null,
    userBits: user === 'arm' ? 32 : 64,
    jit: jitOf(enabled, hardened),
    lsm: lsm === '' ? [] : lsm.split(',').slice(0, LSM_MAX),
    pageBytes: pageKib === '' ? DEFAULT_PAGE_BYTES : Number(pageKib) * 1024,
  };
  const shown = await vm.exec(['test', '-e', BTF_FILE]);
  return { kernel, btf: shown.code === 0 ? await vm.get(BTF_FILE, BTF_BYTES_MAX) : undefined };
}

function archOf(machine: string): MeasuredKernel['kernelArch'] {
  if (machine === 'aarch64') return 'arm64';
  if (/^armv[5-8]/.test(machine)) return 'arm';
  throw new MachineError('order', `the kernel says that it is ${machine}, which no agent runs on`);
}

function jitOf(enabled: string, hardened: string): MeasuredKernel['jit'] {
  if (enabled === '') return null;
  if (enabled === '0') return 'off';
  return hardened === '' || hardened === '0' ? 'on' : 'hardened';
}
