import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hostSeccompArch } from './classic-bpf.js';
import type { SeccompArch } from './classic-bpf.js';
import { JailError } from './error.js';

/** Calls `work` with a descriptor from which bubblewrap can read the filter once; nothing of it stays on disk. */
export async function withFilter<T>(
  build: (arch: SeccompArch) => Buffer,
  work: (fd: number) => Promise<T>,
): Promise<T> {
  const arch = hostSeccompArch();
  if (!arch) throw new JailError(`there is no system call filter for ${process.arch}`, 'x86-64 or arm64');
  const folder = await mkdtemp(path.join(tmpdir(), 'bpfleet-filter-'));
  try {
    const file = path.join(folder, 'filter');
    await writeFile(file, build(arch));
    const handle = await open(file, 'r');
    try {
      return await work(handle.fd);
    } finally {
      await handle.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
