// Builds bpfleet-reap: node apps/agent/reap/build.mjs [--arch x64|arm64|armv7]. It needs a C compiler and the C library, no more.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** @type {Record<string, { compiler: string, folder: string }>} */
const targets = {
  x64: { compiler: 'x86_64-linux-gnu-gcc', folder: 'linux-x64' },
  arm64: { compiler: 'aarch64-linux-gnu-gcc', folder: 'linux-arm64' },
  armv7: { compiler: 'arm-linux-gnueabihf-gcc', folder: 'linux-arm' },
};

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { arch: { type: 'string' } } });
const target = values.arch === undefined ? { compiler: 'cc', folder: 'host' } : targets[values.arch];
if (!target) {
  console.error(`bpfleet-reap: no such architecture: ${values.arch}; there are ${Object.keys(targets).join(', ')}`);
  process.exit(2);
}
const folder = join(here, 'build', target.folder);
mkdirSync(folder, { recursive: true });
// 64-bit time and file offsets also in 32-bit user land; the rest is what hardened distributions build with.
const flags = [
  '-Os',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-D_FILE_OFFSET_BITS=64',
  '-D_TIME_BITS=64',
  '-D_FORTIFY_SOURCE=2',
];
const hardening = ['-fPIE', '-pie', '-fstack-protector-strong', '-Wl,-z,relro,-z,now', '-s'];
const { status, error } = spawnSync(
  target.compiler,
  [...flags, ...hardening, '-o', join(folder, 'bpfleet-reap'), join(here, 'bpfleet_reap.c')],
  { stdio: 'inherit' },
);
if (error) console.error(`bpfleet-reap: cannot run ${target.compiler} (${error.message})`);
process.exit(status ?? 1);
