import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CliError } from '../exit-code.js';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 1024 * 1024;

/**
 * BTF from a kernel's DWARF, by pahole (1.22 or newer).
 * @throws CliError TOOL_MISSING, NO_BTF
 */
export async function encodeFromDwarf(vmlinux: string, note: (line: string) => void): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'bpfleet-btf-'));
  const target = join(folder, 'kernel.btf');
  note('pahole makes BTF of its debug information; this takes some seconds …');
  try {
    await run('pahole', [`--btf_encode_detached=${target}`, '--btf_gen_floats', vmlinux], {
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    return await readFile(target);
  } catch (error) {
    const { code, stderr, message } = error as { code?: string | number; stderr?: string; message: string };
    const rest = 'run pahole --btf_encode_detached=kernel.btf on it elsewhere, and give kernel.btf with --build-id';
    if (code === 'ENOENT' && !stderr) {
      throw new CliError(
        'TOOL_MISSING',
        `this vmlinux has debug information and no BTF, and there is no pahole to make it: install it (Debian: apt install pahole; elsewhere the package may be dwarves), or ${rest}`,
      );
    }
    const why = (stderr?.trim() || message).split('\n').at(-1) ?? '';
    throw new CliError('NO_BTF', `pahole made no BTF of this vmlinux: ${why}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
