import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { repositoryDir } from '../../control/testing/bench.js';

export type ForeignKernel = 'arm64-5.10' | 'arm64-6.1' | 'arm64-6.12' | 'armhf-6.1';

/** The BTF of one of Debian's kernels, as libs/btf keeps them for its own tests. */
export function foreignBtf(name: ForeignKernel): Buffer {
  return brotliDecompressSync(readFileSync(join(repositoryDir, 'libs/btf/test/kernels', `${name}.btf.br`)));
}
