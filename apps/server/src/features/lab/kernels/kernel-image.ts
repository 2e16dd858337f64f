import type { LabArch } from '@bpfleet/api';
import { DomainError } from '../../../platform/errors.js';

// Documentation/arch/arm64/booting.rst: `ARM\x64` at 56. arch/arm/boot/compressed/head.S: 0x016f2818 at 0x24.
const ARM64_MAGIC_AT = 56;
const ARM64_MAGIC = 0x644d5241;
const ZIMAGE_MAGIC_AT = 0x24;
const ZIMAGE_MAGIC = 0x016f2818;
const GZIP_MAGIC = 0x8b1f;
const ELF_MAGIC = 0x464c457f;
const UIMAGE_MAGIC = 0x56190527;
const FIT_MAGIC = 0xedfe0dd0;

/**
 * What QEMU boots of an architecture: an arm64 `Image`, plain or as Image.gz, or an arm `zImage`. Throws LAB_IMAGE (422) with
 * which file is wanted instead.
 */
export function assertKernelImage(bytes: Buffer, arch: LabArch): void {
  const word = (at: number): number => (bytes.length >= at + 4 ? bytes.readUInt32LE(at) : 0);
  if (arch === 'arm64' && (word(ARM64_MAGIC_AT) === ARM64_MAGIC || (word(0) & 0xffff) === GZIP_MAGIC)) return;
  if (arch === 'armv7' && word(ZIMAGE_MAGIC_AT) === ZIMAGE_MAGIC) return;
  const wanted = arch === 'arm64' ? 'arch/arm64/boot/Image or Image.gz' : 'arch/arm/boot/zImage';
  throw new DomainError(
    422,
    'LAB_IMAGE',
    `this is ${nameOf(word)}, not an image that an ${arch} machine boots: give ${wanted}`,
  );
}

function nameOf(word: (at: number) => number): string {
  if (word(0) === ELF_MAGIC) return 'an ELF file (a vmlinux goes to --vmlinux, for its types)';
  if (word(0) === UIMAGE_MAGIC || word(0) === FIT_MAGIC) return 'a U-Boot image';
  if (word(ARM64_MAGIC_AT) === ARM64_MAGIC) return 'an arm64 kernel';
  if (word(ZIMAGE_MAGIC_AT) === ZIMAGE_MAGIC) return 'a 32-bit ARM kernel';
  return 'no kernel that is known here';
}
