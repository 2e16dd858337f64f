import { spawnSync } from 'node:child_process';
import { parseVerifierAnswer } from '../prove/verifier-answer.js';
import type { VerifierReport } from '../prove/verifier-report.js';

const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/** Commands that run another one on this kernel, without something that a machine in the field may lack. */
export const WITHOUT = {
  /** As where CONFIG_DEBUG_INFO_BTF is off; libbpf would also look for the kernel's own file. */
  btf: [
    ...['unshare', '--mount', 'sh', '-ec'],
    'for place in /sys/kernel/btf /boot /lib/modules; do [ ! -d $place ] || mount -t tmpfs none $place; done; exec "$@"',
    'sh',
  ],
  /** As where an agent was given CAP_BPF and CAP_NET_ADMIN alone. */
  perfmon: ['setpriv', '--bounding-set', '-all,+bpf,+net_admin'],
} as const;

/** The verdict of the verifier, which is the server's own but for the jail. Throws ProveError when it gives none. */
export function verifyUnder(command: readonly string[], verifierMain: string, object: Buffer): VerifierReport {
  const [program = '', ...args] = [...command, process.execPath, verifierMain];
  const { status, signal, stdout, stderr } = spawnSync(program, args, {
    input: JSON.stringify({ objectBase64: object.toString('base64') }),
    timeout: TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  return parseVerifierAnswer({ code: status, signal, stdout }, stderr.toString());
}
