import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 300_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * A program of the host that makes a part of a VM.
 * @returns what it wrote to standard output
 * @throws Error with what it wrote to standard error
 */
export async function runCommand(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(program, args, {
    timeout: COMMAND_TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    // sbin, where mkfs lives, is not on everybody's path.
    env: { ...process.env, LC_ALL: 'C', PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
  });
  return stdout;
}

/** Unpacks a .deb into a folder and tells the paths that it held. `only`: tar patterns. */
export async function unpackDeb(deb: string, folder: string, ...only: readonly string[]): Promise<string[]> {
  // A tree with /lib → usr/lib keeps its links, as debootstrap's does.
  const script = 'dpkg-deb --fsys-tarfile "$0" | tar -xv --keep-directory-symlink --no-same-owner -C "$@"';
  const listed = await runCommand('bash', '-o', 'pipefail', '-c', script, deb, folder, '--wildcards', ...only);
  return listed.split('\n').filter((line) => line !== '');
}
