import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { missingCapabilities } from '../jail/capabilities.js';
import { JailError } from '../jail/error.js';
import { withFilter } from '../jail/filter-file.js';
import { findTool } from '../jail/host-tools.js';
import { runInJail } from '../jail/run.js';
import type { JailLimits, JailResult, JailRun } from '../jail/run.js';
import { jailSlots } from '../jail/jail-slots.js';
import { proveFilter } from './prove-filter.js';
import { verifierRoot } from './verifier-binds.js';
import type { VerifierRoot } from './verifier-binds.js';
import { ProveError } from './prove-error.js';
import { parseVerifierAnswer } from './verifier-answer.js';
import type { VerifierReport } from './verifier-report.js';

export interface ProveJailOptions {
  /** The built entry of apps/verifier. */
  verifierMain: string;
  timeoutMs?: number;
  reportBytesMax?: number;
  /** Private writable memory of the verifier's process. */
  memoryBytesMax?: number;
}

export type Availability = { ok: true } | { ok: false; reason: string };

const CAPABILITIES = ['CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN'] as const;
/**
 * What the verifier and libbpf read about the kernel: its types, build id, security modules, CPUs, and which hooks there are
 * (the folder of event sources holds links to the devices behind it).
 */
const KERNEL_FACTS = [
  '/sys/kernel/btf',
  '/sys/kernel/notes',
  '/sys/kernel/security/lsm',
  '/sys/kernel/tracing/events',
  '/sys/kernel/tracing/available_filter_functions',
  '/sys/bus/event_source',
  '/sys/devices/kprobe',
  '/sys/devices/uprobe',
  '/sys/devices/system/cpu',
];
const INITIAL_USER_NAMESPACE = /^\s*0\s+0\s+4294967295\s*$/;
const OUTPUT_CHARS_MAX = 4096;

/**
 * Asks this machine's kernel whether it would take an object. The verifier runs in the initial user namespace, because
 * the kernel gives BPF to no other, with the BPF capabilities and nothing else: no network, no data folder, no server.
 * It loads and never attaches, which a filter of its system calls makes sure of.
 */
export class ProveJail {
  private readonly limits: JailLimits;
  /** One at a time: a verdict may take a second of one CPU, and the machine has other work. */
  private readonly slots = jailSlots(1);
  private root: Promise<VerifierRoot> | undefined;

  constructor(private readonly options: ProveJailOptions) {
    const timeoutMs = options.timeoutMs ?? 60_000;
    this.limits = {
      timeoutMs,
      cpuSecondsMax: Math.ceil(timeoutMs / 1000) + 1,
      dataBytesMax: options.memoryBytesMax ?? 2 * 1024 * 1024 * 1024,
      outputBytesMax: options.reportBytesMax ?? 16 * 1024 * 1024,
      openFilesMax: 512,
    };
  }

  /** Whether this machine can prove, and if not, what is missing, in one sentence. */
  async available(): Promise<Availability> {
    if (process.platform !== 'linux') return { ok: false, reason: 'Only Linux has a BPF verifier.' };
    const map = await readFile('/proc/self/uid_map', 'utf8').catch(() => '');
    if (!INITIAL_USER_NAMESPACE.test(map)) {
      return { ok: false, reason: 'The server runs in a user namespace, where the kernel loads no programs.' };
    }
    // CAP_SYS_ADMIN is what bubblewrap builds the namespaces with; it is not passed on.
    const missing = await missingCapabilities([...CAPABILITIES, 'CAP_SYS_ADMIN']);
    if (missing.length > 0)
      return { ok: false, reason: `The server lacks ${missing.join(', ')}, which proving needs.` };
    if (!existsSync(this.options.verifierMain)) {
      return { ok: false, reason: `The verifier is not built: ${this.options.verifierMain} is not there.` };
    }
    try {
      await findTool('bwrap', 'bubblewrap');
      return { ok: true };
    } catch (error) {
      return { ok: false, reason: (error as Error).message };
    }
  }

  /**
   * The verdict of this kernel; a refused object is a report too. `globals` are images of data sections (`.rodata`) to
   * load with. Throws ProveError when there is no verdict, JailError when this host cannot build the jail.
   */
  async prove(object: Buffer, globals: Record<string, Buffer> = {}): Promise<VerifierReport> {
    const available = await this.available();
    if (!available.ok) throw new JailError(available.reason, 'root on Linux with bubblewrap');
    return this.slots.use(() => this.proveInSlot(object, globals));
  }

  private async proveInSlot(object: Buffer, globals: Record<string, Buffer>): Promise<VerifierReport> {
    this.root ??= verifierRoot(this.options.verifierMain).catch((error: unknown) => {
      this.root = undefined;
      throw error;
    });
    const root = await this.root;
    const request = {
      objectBase64: object.toString('base64'),
      globals: Object.fromEntries(Object.entries(globals).map(([name, bytes]) => [name, bytes.toString('base64')])),
    };
    const run: Omit<JailRun, 'seccompFd'> = {
      bwrap: [
        ...['--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try'],
        ...['--cap-drop', 'ALL', ...CAPABILITIES.flatMap((capability) => ['--cap-add', capability])],
        ...['--clearenv', '--setenv', 'LC_ALL', 'C', '--proc', '/proc', '--dev', '/dev'],
        ...root.arguments,
        ...KERNEL_FACTS.flatMap((file) => ['--ro-bind-try', file, file]),
        ...['--remount-ro', '/', '--chdir', '/'],
      ],
      command: [root.node, root.main],
      limits: this.limits,
      stdin: Buffer.from(JSON.stringify(request)),
      // Before 5.11 maps count as locked memory; where the limit cannot be raised, a newer kernel does not mind.
      unlimitedLockedMemory: (await missingCapabilities(['CAP_SYS_RESOURCE'])).length === 0,
    };
    const result = await withFilter(proveFilter, (seccompFd) => runInJail({ ...run, seccompFd }));
    return parseReport(result, this.limits);
  }
}

function parseReport(result: JailResult, limits: JailLimits): VerifierReport {
  const output = result.stderr.toString('utf8').slice(-OUTPUT_CHARS_MAX);
  if (result.end === 'timeout') {
    throw new ProveError(`there was no verdict after ${limits.timeoutMs} ms`, 'timeout', output);
  }
  if (result.end === 'output') {
    throw new ProveError(`the report is larger than ${limits.outputBytesMax} bytes`, 'output', output);
  }
  if (result.end !== 'exited') {
    throw new ProveError(`the verifier broke down (${result.signal ?? result.end})`, 'crash', output);
  }
  return parseVerifierAnswer(result, output);
}
