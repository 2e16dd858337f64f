import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { findTool } from '../jail/host-tools.js';
import { JailError } from '../jail/error.js';

const run = promisify(execFile);
const KERNEL_BTF = '/sys/kernel/btf/vmlinux';
const BPFTOOL_TIMEOUT_MS = 60_000;
const HEADER_BYTES_MAX = 64 * 1024 * 1024;

/**
 * The folder that holds `vmlinux.h`, the types of this machine's kernel, made by bpftool from its BTF and kept in
 * `cacheDir` under the BTF's digest: a new kernel makes a new folder. CO-RE moves the offsets to each device's kernel.
 * Throws JailError when the kernel has no BTF or bpftool is missing.
 */
export async function ensureVmlinuxHeader(cacheDir: string): Promise<string> {
  const btf = await readFile(KERNEL_BTF).catch(() => {
    throw new JailError(`this kernel shows no BTF at ${KERNEL_BTF}`, 'a kernel with CONFIG_DEBUG_INFO_BTF');
  });
  const digest = createHash('sha256').update(btf).digest('hex').slice(0, 16);
  const folder = path.join(cacheDir, `vmlinux-${digest}`);
  const exists = () =>
    access(path.join(folder, 'vmlinux.h')).then(
      () => true,
      () => false,
    );
  if (await exists()) return folder;

  const bpftool = await findTool('bpftool', 'bpftool');
  const command = ['btf', 'dump', 'file', KERNEL_BTF, 'format', 'c'];
  const { stdout } = await run(bpftool, command, { timeout: BPFTOOL_TIMEOUT_MS, maxBuffer: HEADER_BYTES_MAX });
  await mkdir(cacheDir, { recursive: true });
  const draft = await mkdtemp(path.join(cacheDir, 'draft-'));
  try {
    await writeFile(path.join(draft, 'vmlinux.h'), stdout);
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!(await exists())) throw error; // another process was faster, with the same content
  }
  return folder;
}
