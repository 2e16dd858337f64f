import { readFileSync } from 'node:fs';
import { release } from 'node:os';

const CAP_SYS_ADMIN = 21;
const CAP_PERFMON = 38;
const CAP_BPF = 39;

export interface MachineFacts {
  readonly uid: number;
  /** CapEff of this process. */
  readonly capabilities: bigint;
  /** /proc/filesystems. */
  readonly filesystems: string;
  readonly kernelRelease: string;
}

export function readMachineFacts(): MachineFacts {
  const status = readFileSync('/proc/self/status', 'utf8');
  return {
    uid: process.getuid?.() ?? 0,
    capabilities: BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`),
    filesystems: readFileSync('/proc/filesystems', 'utf8'),
    kernelRelease: release(),
  };
}

/** Why no agent can run here, in one sentence; undefined when one can. */
export function whyNoAgent(facts: MachineFacts): string | undefined {
  const has = (bit: number): boolean => ((facts.capabilities >> BigInt(bit)) & 1n) === 1n;
  // The bpf filesystem is registered by the very option that brings the system call (CONFIG_BPF_SYSCALL).
  if (!/^nodev\tbpf$/m.test(facts.filesystems)) {
    return `This kernel (${facts.kernelRelease}) was built without BPF, so no agent can run on this machine.`;
  }
  if (has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON))) return undefined;
  const inside =
    facts.uid === 0 ? 'this root has no CAP_BPF (is this a container without it?)' : 'this user is not root';
  return `Loading BPF programs needs root or CAP_BPF with CAP_PERFMON, and ${inside}, so no agent was started here.`;
}
