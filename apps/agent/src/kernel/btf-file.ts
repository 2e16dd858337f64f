import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Where a kernel built with CONFIG_DEBUG_INFO_BTF (>= 5.4) shows its own types. */
export const KERNEL_BTF = '/sys/kernel/btf/vmlinux';

/** At most `bytesMax` bytes from `offset` on. @throws what the system says when the file is gone */
export function readBtf(path: string, offset: number, bytesMax: number): { totalBytes: number; bytes: Buffer } {
  const fd = openSync(path, 'r');
  try {
    // The attribute's size is the BTF's, since 5.4 (kernel commit 341dfcf8d78e).
    const totalBytes = fstatSync(fd).size;
    const bytes = Buffer.alloc(Math.max(0, Math.min(bytesMax, totalBytes - offset)));
    let read = 0;
    while (read < bytes.length) {
      const more = readSync(fd, bytes, read, bytes.length - read, offset + read);
      if (more === 0) break;
      read += more;
    }
    return { totalBytes, bytes: bytes.subarray(0, read) };
  } finally {
    closeSync(fd);
  }
}
