import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'kernels');
const OWN = '/sys/kernel/btf/vmlinux';

/** Kernels whose types are kept beside the tests; scripts/fetch-kernel-btf.mjs made them. */
export const FOREIGN_KERNELS: readonly string[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.btf.br'))
  .map((file) => file.slice(0, -'.btf.br'.length));

export const HAS_OWN_BTF = existsSync(OWN);

/** The raw BTF of a foreign kernel, or of this one for `host`. */
export function kernelBtf(name: string): Uint8Array {
  if (name === 'host') return new Uint8Array(readFileSync(OWN));
  return new Uint8Array(brotliDecompressSync(readFileSync(join(FOLDER, `${name}.btf.br`))));
}
