import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { RunningVm } from '@bpfleet/vm';
import { MachineError } from './lab-machines.js';

const run = promisify(execFile);

const HOME = '/opt/bpfleet-verifier';
/** What the verifier imports of this repository (apps/verifier). */
const PACKAGES = ['btf', 'node-libbpf'];
const PREBUILD: Readonly<Record<32 | 64, { readonly folder: string; readonly arch: string }>> = {
  32: { folder: 'linux-arm', arch: 'armv7' },
  64: { folder: 'linux-arm64', arch: 'arm64' },
};
const PREBUILD_TIMEOUT_MS = 900_000;

/** What a verifier that was killed has left behind is not the next one's. */
const SERVE_SCRIPT = 'rm -rf "$0" && mkdir -p "$0" && TMPDIR="$0" exec node "$1" --serve';

/** As the guest runs it: it answers line by line. On 32 bit Node's io_uring thread would take a CPU for itself. */
export const SERVE_COMMAND = [
  'env',
  'UV_USE_IO_URING=0',
  ...['sh', '-c', SERVE_SCRIPT, '/var/tmp/bpfleet-verifier', `${HOME}/dist/main.js`],
];

/** Puts the built verifier with its packages and the addon for this user land into the guest. */
export async function installVerifier(vm: RunningVm, verifierMain: string, userBits: 32 | 64): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bpfleet-lab-verifier-'));
  try {
    await stage(folder, verifierMain, userBits);
    await vm.copy(folder, HOME);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function stage(folder: string, verifierMain: string, userBits: 32 | 64): Promise<void> {
  if (!existsSync(verifierMain))
    throw new MachineError('order', `the verifier is not built: ${verifierMain} is not there`);
  const app = dirname(dirname(verifierMain));
  const libs = join(dirname(dirname(app)), 'libs');
  await copyBuilt(app, folder);
  for (const name of PACKAGES) await copyBuilt(join(libs, name), join(folder, 'node_modules/@bpfleet', name));
  const { folder: prebuild } = PREBUILD[userBits];
  const addon = await prebuiltAddon(join(libs, 'node-libbpf'), userBits);
  const place = join(folder, 'node_modules/@bpfleet/node-libbpf/prebuilds', prebuild);
  await mkdir(place, { recursive: true });
  await cp(addon, join(place, 'bpf.node'));
}

/** The JavaScript alone: under emulation every file that is copied costs. */
async function copyBuilt(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await cp(join(from, 'package.json'), join(to, 'package.json'));
  await cp(join(from, 'dist'), join(to, 'dist'), {
    recursive: true,
    filter: (source) => !/(\.d\.ts|\.map|\.tsbuildinfo)$/.test(source),
  });
}

const building = new Map<string, Promise<unknown>>();

/** `npm run package` makes it too; where nobody did, it is made here, once. */
async function prebuiltAddon(nodeLibbpf: string, userBits: 32 | 64): Promise<string> {
  const { folder, arch } = PREBUILD[userBits];
  const addon = join(nodeLibbpf, 'prebuilds', folder, 'bpf.node');
  if (existsSync(addon)) return addon;
  const script = join(nodeLibbpf, 'native/prebuild.mjs');
  const made = building.get(arch) ?? run(process.execPath, [script, '--arch', arch], { timeout: PREBUILD_TIMEOUT_MS });
  building.set(arch, made);
  try {
    await made;
    return addon;
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1) ?? (error as Error).message;
    throw new MachineError('order', `there is no verifier for ${arch} here, and none could be built: ${said}`);
  } finally {
    building.delete(arch);
  }
}
