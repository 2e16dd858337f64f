import { readFile } from 'node:fs/promises';
import { parseBtf } from '@bpfleet/btf';
import type { IsKernelType } from './layout-rules.js';

/**
 * Knows the kernel's types by name, from the BTF that vmlinux.h is made of. A program that includes vmlinux.h cannot
 * declare another type of the same name, so the name is enough.
 */
export async function kernelTypes(btfPath = '/sys/kernel/btf/vmlinux'): Promise<IsKernelType> {
  const btf = parseBtf(await readFile(btfPath));
  const kinds = ['struct', 'union', 'enum', 'enum64'] as const;
  return (name) => kinds.some((kind) => btf.idsByName(kind, name).length > 0);
}
