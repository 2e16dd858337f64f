// Builds bpfleet-reap: node apps/agent/reap/build.mjs [--arch x64|arm64|armv7]. For this machine it needs a C compiler and the C
// library, no more; for a device what node-libbpf's addons are built with, so that both run with the same old C library.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { crossToolchain, TARGETS } from '../../../libs/node-libbpf/native/cross-toolchain.mjs';

const here = dirname(fileURLToPath(import.meta.url));
// 64-bit file offsets also in 32-bit user land; the rest is what hardened distributions build with. Times need no such care: the
// only clock that is read counts from boot.
const FLAGS = ['-Os', '-Wall', '-Wextra', '-Werror', '-D_FILE_OFFSET_BITS=64', '-D_FORTIFY_SOURCE=2'];
const HARDENING = ['-fPIE', '-pie', '-fstack-protector-strong', '-Wl,-z,relro,-z,now', '-s'];

/** The compiler with its flags, and the folder for what it makes. */
function compilerFor(arch) {
  if (arch === undefined) return { command: ['cc'], folder: 'host' };
  if (!Object.hasOwn(TARGETS, arch)) {
    throw new Error(`no such architecture: ${arch}; there are ${Object.keys(TARGETS).join(', ')}`);
  }
  const { cc, link } = crossToolchain(arch);
  return { command: [...cc, ...link], folder: TARGETS[arch].folder };
}

try {
  const { values } = parseArgs({ options: { arch: { type: 'string' } } });
  const { command, folder } = compilerFor(values.arch);
  const [compiler, ...chosen] = command;
  const out = join(here, 'build', folder);
  mkdirSync(out, { recursive: true });
  const files = ['-o', join(out, 'bpfleet-reap'), join(here, 'bpfleet_reap.c')];
  const { status, error } = spawnSync(compiler, [...chosen, ...FLAGS, ...HARDENING, ...files], { stdio: 'inherit' });
  if (error) throw new Error(`cannot run ${compiler} (${error.message})`);
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(`bpfleet-reap: ${error.message}`);
  process.exitCode = 1;
}
