import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { describe as jestDescribe } from '@jest/globals';
import { which } from '@bpfleet/embedded';

/** What a test on the real kernel may need and a machine may lack. The names appear in the titles of skipped tests. */
export type Capability =
  | 'root'
  | 'bpf'
  | 'btf'
  | 'bpffs'
  | 'tracefs'
  | 'kprobe'
  | 'uprobe'
  | 'fentry'
  | 'lsm'
  | 'net_admin'
  | 'netns'
  | 'cgroup2'
  | 'overlayfs'
  | 'clang'
  | 'lld'
  | 'qemu-user'
  | 'bpftool'
  | 'pahole'
  | 'libbpf_source'
  | 'mosquitto'
  | 'chromium'
  | 'dpkg-deb'
  | 'xz'
  | 'busybox'
  | 'sanitizers';

// From src/ while jest runs the sources, from dist/ otherwise: both lie two folders below the workspace's.
const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const CAP_NET_ADMIN = 12;
const CAP_SYS_ADMIN = 21;
const CAP_PERFMON = 38;
const CAP_BPF = 39;

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function hasPrivilege(bit: number): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> BigInt(bit)) & 1n) === 1n;
}

function isMounted(type: string): boolean {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[2] === type);
}

function knowsFilesystem(type: string): boolean {
  return new RegExp(`^(nodev)?\\t${type}$`, 'm').test(readFileSync('/proc/filesystems', 'utf8'));
}

/** The kernel has the filesystem and this process may use it, mounting it first if need be. */
function canUseFilesystem(type: string): boolean {
  return knowsFilesystem(type) && hasPrivilege(CAP_SYS_ADMIN);
}

function kernelHasSymbol(name: string): boolean {
  return new RegExp(` ${name}$`, 'm').test(readFileSync('/proc/kallsyms', 'utf8'));
}

function activeLsms(): string[] {
  const file = '/sys/kernel/security/lsm';
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split(',') : [];
}

/** The C++ compiler brings AddressSanitizer's runtime: it echoes the name of a library that it cannot find. */
function hasSanitizers(): boolean {
  if (which('c++') === undefined) return false;
  return execFileSync('c++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).startsWith('/');
}

function hasPmu(name: string): boolean {
  const folder = '/sys/bus/event_source/devices';
  return existsSync(folder) && readdirSync(folder).includes(name);
}

/** The kernel has bpf(2) and this process may load tracing programs with it. */
export function hasBpf(): boolean {
  const mayLoad = hasPrivilege(CAP_SYS_ADMIN) || (hasPrivilege(CAP_BPF) && hasPrivilege(CAP_PERFMON));
  return mayLoad && knowsFilesystem('bpf');
}

export function hasTracefs(): boolean {
  return canUseFilesystem('tracefs');
}

const CHECKS: Record<Capability, () => boolean> = {
  root: isRoot,
  bpf: hasBpf,
  btf: () => existsSync('/sys/kernel/btf/vmlinux'),
  bpffs: () => canUseFilesystem('bpf'),
  tracefs: hasTracefs,
  kprobe: () => hasPmu('kprobe'),
  uprobe: () => hasPmu('uprobe'),
  // fentry patches functions through ftrace's direct calls; without that symbol the attach cannot exist.
  fentry: () => kernelHasSymbol('register_ftrace_direct'),
  lsm: () => activeLsms().includes('bpf'),
  net_admin: () => hasPrivilege(CAP_NET_ADMIN),
  netns: () => hasPrivilege(CAP_SYS_ADMIN) && existsSync('/proc/self/ns/net') && which('ip') !== undefined,
  cgroup2: () => isMounted('cgroup2') && hasPrivilege(CAP_SYS_ADMIN),
  overlayfs: () => canUseFilesystem('overlay'),
  clang: () => which('clang') !== undefined,
  lld: () => which('ld.lld') !== undefined && which('llvm-ar') !== undefined,
  // One of its programs stands for all: they come in one package.
  'qemu-user': () => which('qemu-aarch64') !== undefined,
  bpftool: () => which('bpftool') !== undefined,
  pahole: () => which('pahole') !== undefined,
  // What libs/btf/scripts/fetch-libbpf.mjs builds: newer than the product's, to compare with. libz.a comes last.
  libbpf_source: () => existsSync(join(referenceLibbpfDir(), 'libz.a')),
  mosquitto: () => which('mosquitto') !== undefined,
  chromium: () => which('chromium') !== undefined,
  'dpkg-deb': () => which('dpkg-deb') !== undefined,
  xz: () => which('xz') !== undefined,
  busybox: () => which('busybox') !== undefined,
  sanitizers: hasSanitizers,
};

/** Where libs/btf/scripts/fetch-libbpf.mjs puts its libbpf, or another one that the environment names. */
export function referenceLibbpfDir(): string {
  return process.env['BPFLEET_LIBBPF'] ?? join(REPOSITORY, '.cache/libbpf-1.7.0');
}

const known = new Map<Capability, boolean>();

export function hasCapability(capability: Capability): boolean {
  const cached = known.get(capability);
  if (cached !== undefined) return cached;
  const present = CHECKS[capability]();
  known.set(capability, present);
  return present;
}

export function missingCapabilities(needs: readonly Capability[]): Capability[] {
  return needs.filter((capability) => !hasCapability(capability));
}

/**
 * `describe` for tests that need the real kernel (or a real program). Where something is missing, every test inside is
 * skipped and the title says what: the only reason for which a kernel test may be skipped.
 */
export function describeWithKernel(name: string, needs: readonly Capability[], tests: () => void): void {
  // The global and not the module: `@jest/globals` throws when it is imported outside of jest, and load drivers import
  // this library too.
  const { describe } = globalThis as unknown as { describe: typeof jestDescribe };
  const missing = missingCapabilities(needs);
  if (missing.length === 0) describe(name, tests);
  else describe.skip(`${name} [needs ${missing.join(', ')}]`, tests);
}
