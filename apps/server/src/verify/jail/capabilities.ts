import { readFile } from 'node:fs/promises';

// linux/capability.h
const BITS = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21, CAP_SYS_RESOURCE: 24, CAP_PERFMON: 38, CAP_BPF: 39 } as const;

export type CapabilityName = keyof typeof BITS;

/** Those of `names` that this process does not have in effect. */
export async function missingCapabilities(names: readonly CapabilityName[]): Promise<CapabilityName[]> {
  const status = await readFile('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return names.filter((name) => ((effective >> BigInt(BITS[name])) & 1n) === 0n);
}
