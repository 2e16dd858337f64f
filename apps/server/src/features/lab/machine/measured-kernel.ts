import { gnuBuildId } from '@bpfleet/btf';
import { BTF_BYTES_MAX } from '@bpfleet/api';
import { pageBytesOf } from '@bpfleet/probe';
import type { RunningVm } from '@bpfleet/vm';
import { MachineError, type MeasuredKernel } from './lab-machines.js';

export interface Measured {
  readonly kernel: MeasuredKernel;
  readonly btf: Buffer | undefined;
}

const BTF_FILE = '/sys/kernel/btf/vmlinux';
const AUXV = '/proc/self/auxv';
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
  const userBits = vm.guest.arch === 'arm' ? 32 : 64;
  const kernel: MeasuredKernel = {
    kernelRelease: vm.guest.release.slice(0, TEXT_MAX),
    kernelArch: archOf(vm.guest.machine),
    kernelBuildId: gnuBuildId(await vm.get('/sys/kernel/notes')) ?? null,
    userBits,
    jit: jitOf(enabled, hardened),
    lsm: lsm === '' ? [] : lsm.split(',').slice(0, LSM_MAX),
    pageBytes: await pageBytesIn(vm, userBits),
  };
  const shown = await vm.exec(['test', '-e', BTF_FILE]);
  return { kernel, btf: shown.code === 0 ? await vm.get(BTF_FILE, BTF_BYTES_MAX) : undefined };
}

/** The reader's own vector: it is a program of the same user land as Node's. QEMU's virt boards are little-endian. */
async function pageBytesIn(vm: RunningVm, userBits: 32 | 64): Promise<number> {
  const { stdout } = await vm.exec(['cat', AUXV]);
  const bytes = pageBytesOf(stdout, { userBits, endianness: 'LE' });
  if (bytes === undefined)
    throw new MachineError('order', `the kernel does not say in ${AUXV} how large its pages are`);
  return bytes;
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
