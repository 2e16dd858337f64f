import { BtfError, moduleInfo, parseElf } from '@bpfleet/btf';
import type { LabArch } from '@bpfleet/api';
import { DomainError } from '../../../platform/errors.js';

/** elf.h: EM_AARCH64, EM_ARM. */
const MACHINE: Readonly<Record<LabArch, number>> = { arm64: 183, armv7: 40 };
const GUEST_READS = /^[\t\n\r\x20-\x7e]*$/;

/** Only a VM ever loads it; this is to tell a person early what is wrong. Throws LAB_MODULE (422). */
export function assertKernelModule(bytes: Buffer, arch: LabArch): void {
  const wrong = whyNoModule(bytes, arch);
  if (wrong !== undefined) throw new DomainError(422, 'LAB_MODULE', `this is no module of an ${arch} kernel: ${wrong}`);
}

function whyNoModule(bytes: Buffer, arch: LabArch): string | undefined {
  try {
    if (parseElf(bytes).machine !== MACHINE[arch]) return 'it is for another architecture';
    return moduleInfo(bytes) === undefined ? 'it has no .modinfo' : undefined;
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    return `${error.message} (a packed one, .ko.xz or .ko.zst, is to be unpacked first)`;
  }
}

/** What `make` leaves as .config, and packages as boot/config-…. Throws LAB_CONFIG (422). */
export function assertKernelConfig(bytes: Buffer): void {
  const text = bytes.toString('latin1');
  if (GUEST_READS.test(text) && /^CONFIG_[A-Z0-9_]+=/im.test(text)) return;
  const message = 'this is no build configuration of a kernel: it has no line CONFIG_…=, or bytes that are no text';
  throw new DomainError(422, 'LAB_CONFIG', message);
}
