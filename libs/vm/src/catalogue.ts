import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The kernels that a VM can boot: Debian's own, oldest first. `armv7` is built without BTF and has its JIT off; `compat32` is a
 * 64-bit kernel under 32-bit user land, `16k` one with pages of 16 KiB, as boards with newer processors run it. 7.2 is that of the suite in the making, whose packages go when newer ones come: what has
 * a test only there is skipped then, by its name.
 */
export const VM_TARGETS = [
  ...([
    'arm64-5.10',
    'arm64-6.1',
    'arm64-6.1-compat32',
    'arm64-6.12',
    'arm64-6.12-16k',
    'arm64-7.2',
    'armv7-6.1',
  ] as const),
] as const;
export type VmTarget = (typeof VM_TARGETS)[number];

export interface PackagePin {
  readonly package: string;
  readonly version: string;
  readonly sha256: string;
}

/** A kernel's image, and what holds its configuration and modules where those come in packages of their own. */
interface KernelPin extends PackagePin {
  readonly rest?: readonly PackagePin[];
}

interface Source {
  readonly suite: string;
  readonly architecture: 'arm64' | 'armhf';
  /** Newest first. */
  readonly accepted: readonly PackagePin[];
}

export interface NodePin {
  readonly package: string;
  readonly version: string;
  readonly integrity: string;
}

/** `kernels.json`: written by `scripts/vm-artifacts.mjs refresh`. */
interface Catalogue {
  readonly targets: Readonly<Record<VmTarget, { readonly kernel: string; readonly userLand: string }>>;
  readonly kernels: Readonly<Record<string, Source & { readonly accepted: readonly KernelPin[] }>>;
  readonly userLands: Readonly<Record<string, Source & { readonly node: string }>>;
}

export const repositoryDir = fileURLToPath(new URL('../../../', import.meta.url));
export const cacheDir = join(repositoryDir, '.cache');

/** A file of the cache that is named by its contents: once there, it never changes. */
export interface PinnedFile extends PackagePin {
  readonly path: string;
}

/** What a target is made of, with the place in the cache of each part. */
export interface VmParts {
  readonly target: VmTarget;
  readonly kernelArchitecture: 'arm64' | 'armhf';
  readonly userArchitecture: 'arm64' | 'armhf';
  /** One package, or several that make one tree. */
  readonly kernel: readonly PinnedFile[];
  readonly packages: readonly PinnedFile[];
  readonly node: { readonly path: string; readonly pin: NodePin };
}

export function readCatalogue(): Catalogue {
  const file = join(repositoryDir, 'libs/vm/src/kernels.json');
  return JSON.parse(readFileSync(file, 'utf8')) as Catalogue;
}

/** Node for devices, which is pinned once for what is installed on them (apps/agent/package) and for VMs. */
function nodePin(name: string): NodePin {
  const file = join(repositoryDir, 'scripts/node-runtimes.json');
  const pins = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Omit<NodePin, 'package'>>;
  const pin = pins[name];
  if (pin === undefined) throw new Error(`${name} is not pinned in scripts/node-runtimes.json`);
  return { package: name, version: pin.version, integrity: pin.integrity };
}

/** The first accepted version that is in the cache, else the newest. */
function choose(pins: readonly PackagePin[], pathOf: (pin: PackagePin) => string): PinnedFile {
  const newest = pins[0];
  if (newest === undefined) throw new Error('a package without an accepted version in kernels.json');
  const pin = pins.find((one) => existsSync(pathOf(one))) ?? newest;
  return { ...pin, path: pathOf(pin) };
}

const kernelPath = (pin: PackagePin): string => join(cacheDir, 'kernels', pin.sha256, 'package.deb');

function chooseKernel(pins: readonly KernelPin[]): PinnedFile[] {
  const { rest = [], ...image }: PinnedFile & KernelPin = choose(pins, kernelPath);
  return [image, ...rest.map((pin) => ({ ...pin, path: kernelPath(pin) }))];
}

export function partsOf(target: VmTarget): VmParts {
  const catalogue = readCatalogue();
  const { kernel: kernelName, userLand: userLandName } = catalogue.targets[target];
  const kernel = catalogue.kernels[kernelName] as Source & { accepted: readonly KernelPin[] };
  const userLand = catalogue.userLands[userLandName] as Source & { node: string };
  const node = nodePin(userLand.node);
  const names = [...new Set(userLand.accepted.map((pin) => pin.package))];
  return {
    target,
    kernelArchitecture: kernel.architecture,
    userArchitecture: userLand.architecture,
    kernel: chooseKernel(kernel.accepted),
    packages: names.map((name) =>
      choose(
        userLand.accepted.filter((pin) => pin.package === name),
        (pin) => join(cacheDir, 'vm/packages', `${pin.sha256}.deb`),
      ),
    ),
    node: {
      pin: node,
      path: join(cacheDir, 'vm/node', `${node.package}-${node.version}.tgz`),
    },
  };
}

export function isComplete(parts: VmParts): boolean {
  return [...parts.kernel, ...parts.packages, parts.node].every((file) => existsSync(file.path));
}
