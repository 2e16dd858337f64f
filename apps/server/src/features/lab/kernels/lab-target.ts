import type { LabArch, LabPageBytes, LabSuite } from '@bpfleet/api';
import { DomainError } from '../../../platform/errors.js';

interface Target {
  readonly name: string;
  readonly suite: LabSuite;
  readonly arch: LabArch;
  readonly userLand: LabArch;
  readonly pageBytes: LabPageBytes;
}

/** What libs/vm can boot; its own list has no words for what a target is made of. */
const TARGETS: readonly Target[] = [
  { name: 'arm64-5.10', suite: 'bullseye', arch: 'arm64', userLand: 'arm64', pageBytes: 4096 },
  { name: 'arm64-6.1', suite: 'bookworm', arch: 'arm64', userLand: 'arm64', pageBytes: 4096 },
  { name: 'arm64-6.1-compat32', suite: 'bookworm', arch: 'arm64', userLand: 'armv7', pageBytes: 4096 },
  { name: 'arm64-6.12', suite: 'trixie', arch: 'arm64', userLand: 'arm64', pageBytes: 4096 },
  { name: 'arm64-6.12-16k', suite: 'trixie', arch: 'arm64', userLand: 'arm64', pageBytes: 16_384 },
  { name: 'arm64-7.2', suite: 'forky', arch: 'arm64', userLand: 'arm64', pageBytes: 4096 },
  { name: 'armv7-6.1', suite: 'bookworm', arch: 'armv7', userLand: 'armv7', pageBytes: 4096 },
];

/** The target of a Debian suite. Throws LAB_TARGET (422), which says what there is. */
export function targetOf({ suite, arch, userLand, pageBytes }: Omit<Target, 'name'>): string {
  const found = TARGETS.find((one) => {
    return one.suite === suite && one.arch === arch && one.userLand === userLand && one.pageBytes === pageBytes;
  });
  if (found) return found.name;
  const wanted = inWords({ suite, arch, userLand, pageBytes });
  throw new DomainError(
    422,
    'LAB_TARGET',
    `the lab has no kernel of ${wanted}; there are ${TARGETS.map(inWords).join(', ')}`,
  );
}

function inWords({ suite, arch, userLand, pageBytes }: Omit<Target, 'name'>): string {
  const pages = pageBytes === 4096 ? '' : ` with pages of ${pageBytes / 1024} KiB`;
  return `${suite} ${arch}${pages}${userLand === arch ? '' : ` with ${userLand} user land`}`;
}

/** The target whose user land runs under a kernel of somebody's own. Throws LAB_TARGET (422). */
export function userLandTarget(arch: LabArch, userLand: LabArch): string {
  const found = TARGETS.find((one) => one.suite === 'bookworm' && one.arch === arch && one.userLand === userLand);
  if (found) return found.name;
  throw new DomainError(422, 'LAB_TARGET', `an ${arch} kernel cannot run ${userLand} programs`);
}

export function suiteOf(target: string): LabSuite | null {
  return TARGETS.find(({ name }) => name === target)?.suite ?? null;
}

export function archOfTarget(target: string): LabArch {
  return TARGETS.find(({ name }) => name === target)?.arch ?? 'arm64';
}

export function userLandOf(target: string): LabArch {
  return TARGETS.find(({ name }) => name === target)?.userLand ?? 'arm64';
}
