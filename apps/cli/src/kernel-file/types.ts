export type KernelArch = 'x86_64' | 'arm64' | 'arm';

/** What a file says about a kernel. BTF alone says neither build nor release. */
export interface KernelFile {
  readonly btf: Uint8Array;
  readonly buildId: string | undefined;
  readonly release: string | undefined;
  readonly arch: KernelArch | undefined;
  /** `section`: as the kernel was built; `dwarf`: made by pahole from its debug information; `bare`: the file was BTF. */
  readonly from: 'section' | 'dwarf' | 'bare';
}

/** What the server takes. */
export const BTF_BYTES_MAX = 32 * 1024 * 1024;
