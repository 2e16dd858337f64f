import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { cpus, endianness, hostname, release, totalmem } from 'node:os';
import { kernelMachine } from '@bpfleet/node-libbpf';
import { gnuBuildId, pageBytesOf } from '@bpfleet/probe';
import type { Facts } from '@bpfleet/wire';
import { AgentError } from '../agent-error.js';
import { errorFacts } from '../log.js';
import { KERNEL_BTF } from './btf-file.js';
import type { Kernel } from './port.js';

const TEXT_MAX = 256;

function readText(path: string): string | undefined {
  try {
    // Device-tree strings end with a NUL.
    return readFileSync(path, 'utf8').replaceAll('\0', '').trim().slice(0, TEXT_MAX) || undefined;
  } catch {
    return undefined;
  }
}

/** The kernel's, which can differ from user land's: an ARM64 kernel under 32-bit programs. */
function kernelArch(): Facts['kernelArch'] {
  const name = kernelMachine();
  if (name === 'x86_64') return 'x86_64';
  return name === 'aarch64' || name === 'arm64' ? 'arm64' : 'arm';
}

function kernelBuildId(): string | null {
  try {
    return gnuBuildId(readFileSync('/sys/kernel/notes')) ?? null;
  } catch {
    return null;
  }
}

/** The kernel's BTF is megabytes: it is hashed as it streams, once per process. */
async function btfDigest(path: string): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch {
    return null;
  }
  return hash.digest('hex');
}

function jit(): Facts['jit'] {
  const enabled = readText('/proc/sys/net/core/bpf_jit_enable');
  if (enabled === undefined) return null;
  if (enabled === '0') return 'off';
  const hardening = readText('/proc/sys/net/core/bpf_jit_harden');
  return hardening === undefined || hardening === '0' ? 'on' : 'hardened';
}

const USER_BITS = process.arch === 'arm' || process.arch === 'ia32' ? 32 : 64;

/**
 * Node does not say it, and 64 KiB pages multiply ring sizes. A guess would put the device into the wrong kernel group.
 * @throws AgentError FACTS_UNREADABLE
 */
export function pageBytes(path = '/proc/self/auxv'): number {
  let why = 'it names no page size';
  try {
    const bytes = pageBytesOf(readFileSync(path), { userBits: USER_BITS, endianness: endianness() });
    if (bytes !== undefined) return bytes;
  } catch (error) {
    // The file is root's where node is a program with capabilities of its own (setcap): systemd's AmbientCapabilities are none.
    why = errorFacts(error).message;
  }
  throw new AgentError(
    'FACTS_UNREADABLE',
    `${path} must tell the size of this kernel's pages: ${why}; mount /proc, and give the agent its capabilities by its unit and not by setcap`,
  );
}

function distribution(): string | null {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(text)?.[1]?.slice(0, TEXT_MAX) ?? null;
  } catch {
    return null;
  }
}

/** Optional parts of the protocol that this agent can read; a server sends them to no other. */
const UNDERSTANDS = ['addendum'];
const FEATURES_MAX = 256;

/** `btfPath`: the file with the types of the running kernel; one that is not there is a kernel without BTF. */
export async function collectFacts(
  agentVersion: string,
  kernel: Pick<Kernel, 'features' | 'lacks' | 'cpus'>,
  btfPath = KERNEL_BTF,
): Promise<Facts> {
  const btf = await btfDigest(btfPath);
  const listed = (names: readonly string[], withBtf: boolean): string[] =>
    [...names.filter((name) => name !== 'btf'), ...(withBtf ? ['btf'] : [])].sort().slice(0, FEATURES_MAX);
  return {
    hostname: hostname().slice(0, TEXT_MAX),
    machine: readText('/sys/firmware/devicetree/base/model') ?? readText('/sys/class/dmi/id/product_name') ?? null,
    distribution: distribution(),
    kernelRelease: release().slice(0, TEXT_MAX),
    kernelArch: kernelArch(),
    kernelBuildId: kernelBuildId(),
    userBits: USER_BITS,
    btfDigest: btf,
    jit: jit(),
    lsm: (readText('/sys/kernel/security/lsm') ?? '')
      .split(',')
      .filter((name) => name !== '')
      .slice(0, 32),
    cpus: cpus().length,
    pageBytes: pageBytes(),
    memoryBytes: totalmem(),
    features: listed(kernel.features, btf !== null),
    lacks: listed(kernel.lacks, btf === null),
    possibleCpus: kernel.cpus,
    agentVersion,
    understands: UNDERSTANDS,
  };
}

/** What decides a verdict: the same code may be refused by one of these and accepted by another. */
export function kernelKey(facts: Facts): string {
  const { kernelBuildId, kernelRelease, kernelArch: arch, userBits, jit: jitState, lsm } = facts;
  return `${kernelBuildId ?? kernelRelease} ${arch} ${userBits} ${jitState ?? ''} ${lsm.join(',')}`.slice(0, TEXT_MAX);
}
