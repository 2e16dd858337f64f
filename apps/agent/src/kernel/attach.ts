import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { LibbpfError, type Link, type Program } from '@bpfleet/node-libbpf';
import { compareSeries, kernelSeries, tcDirection, type AttachOptions, type TcDirection } from '@bpfleet/probe';
import { AgentError } from '../agent-error.js';
import { closedToTracing } from './closed-to-tracing.js';
import { missingHook } from './missing-hook.js';

// PERF_COUNT_SW_CPU_CLOCK (linux/perf_event.h): a timer on each CPU, which every machine has.
const CPU_CLOCK = 0;
const FREQUENCY_HZ_DEFAULT = 49;
/** The network that the agent is in, which is the machine's unless it was put into another. */
const OWN_NETWORK = '/proc/self/ns/net';
const INTERFACE_NAME = /^[^/\s]{1,15}$/;

export interface NamedLink {
  /** File name of its pin. */
  readonly pin: string;
  readonly link: Link;
}

/** Every link that one program needs: one, but for perf events one per CPU. */
export function attachProgram(program: Program, options: AttachOptions): NamedLink[] {
  try {
    return linksOf(program, options);
  } catch (error) {
    if (!(error instanceof LibbpfError)) throw error;
    if (program.type === 'sched_cls' && error.errnoName === 'EINVAL') assertTcx(program.name, release());
    const { errno, errnoName } = error;
    const facts = { program: program.name, errno, errnoName };
    const missing = missingHook({ section: program.section, errnoName });
    if (missing !== undefined) {
      throw new AgentError('HOOK_MISSING', `${program.name} (${program.section}): ${missing}`, facts);
    }
    const closed = closedToTracing({ section: program.section, errnoName });
    if (closed !== undefined)
      throw new AgentError('TARGET_UNTRACEABLE', `${program.name} (${program.section}): ${closed}`, facts);
    // Refused by the library, which looked at the file: trying again changes nothing.
    const code = error.code === 'BPF_UNSUPPORTED' ? 'TARGET_UNTRACEABLE' : 'ATTACH_FAILED';
    throw new AgentError(code, attachFailure(program.type, options, error), facts);
  }
}

/** What to do about it, where the kernel's number alone would leave a person guessing. */
export function attachFailure(
  type: string,
  options: AttachOptions,
  error: { readonly message: string; readonly errnoName: string },
): string {
  if (type === 'xdp' && error.errnoName === 'EBUSY') {
    return `another XDP program is attached to ${options.interface ?? 'the interface'} already (EBUSY): detach it, or choose another interface`;
  }
  return error.message;
}

function linksOf(program: Program, options: AttachOptions): NamedLink[] {
  if (program.type === 'perf_event') return attachPerCpu(program, options.frequencyHz ?? FREQUENCY_HZ_DEFAULT);
  return [{ pin: program.name, link: attachOne(program, options) }];
}

function attachOne(program: Program, options: AttachOptions): Link {
  switch (program.type) {
    case 'xdp':
      return program.attachXdp(
        interfaceIndex(program.name, options.interface),
        options.mode ? { mode: options.mode } : {},
      );
    case 'sched_cls':
      return program.attachTcx(
        interfaceIndex(program.name, options.interface),
        directionOf(program.name, program.section, options),
      );
    case 'cgroup_skb':
    case 'cgroup_sock':
    case 'cgroup_sock_addr':
    case 'cgroup_sockopt':
    case 'cgroup_sysctl':
    case 'cgroup_device':
    case 'sock_ops':
      return program.attachCgroup(cgroupRoot(program.name));
    case 'sk_lookup':
      return program.attachNetns(OWN_NETWORK);
    default:
      return program.attach();
  }
}

function directionOf(program: string, section: string, options: AttachOptions): TcDirection {
  const direction = tcDirection(section, options);
  if (direction) return direction;
  throw new AgentError('ATTACH_FAILED', `${program} names no direction: ingress or egress`, { program });
}

/** The first with links for tc programs (e420bed02507), and what older ones say to those is EINVAL. */
const TCX_SINCE = { major: 6, minor: 6 };

/**
 * A classic filter on a clsact qdisc is no link: it has no pin, so that neither a dead agent nor the reaper would end it with its
 * lease. Agents set none.
 * @throws AgentError FEATURE_MISSING
 */
export function assertTcx(program: string, kernelRelease: string): void {
  const series = kernelSeries(kernelRelease);
  if (series === undefined || compareSeries(series, TCX_SINCE) >= 0) return;
  throw new AgentError(
    'FEATURE_MISSING',
    `${program} is a tc program, which needs a tcx link: kernels have those from 6.6 on, and this one is ${kernelRelease}; an older kernel's filter would outlive the agent and its lease, so none is set`,
    { program, feature: 'tcx' },
  );
}

function attachPerCpu(program: Program, frequencyHz: number): NamedLink[] {
  const links: NamedLink[] = [];
  try {
    for (const cpu of onlineCpus()) {
      const link = program.attachPerfEvent({ type: 'software', config: CPU_CLOCK, frequencyHz, cpu, pid: -1 });
      links.push({ pin: `${program.name}_cpu${cpu}`, link });
    }
  } catch (error) {
    for (const { link } of links) link.detach();
    throw error;
  }
  return links;
}

/** `0-3,6` → 0 1 2 3 6. */
export function parseCpuList(text: string): number[] {
  return text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [from = 0, to = from] = part.split('-').map(Number);
      return Array.from({ length: to - from + 1 }, (_, index) => from + index);
    });
}

function onlineCpus(): number[] {
  return parseCpuList(readFileSync('/sys/devices/system/cpu/online', 'utf8'));
}

function interfaceIndex(program: string, name: string | undefined): number {
  if (name === undefined || !INTERFACE_NAME.test(name)) {
    throw new AgentError('ATTACH_FAILED', `${program} names no network interface to attach to`, { program });
  }
  try {
    return Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
  } catch {
    throw new AgentError('ATTACH_FAILED', `this machine has no network interface ${name}`, {
      program,
      errnoName: 'ENODEV',
    });
  }
}

function cgroupRoot(program: string): string {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const root = mounts.find((line) => line.split(' ')[2] === 'cgroup2')?.split(' ')[1];
  if (!root) throw new AgentError('ATTACH_FAILED', `${program} needs cgroup v2, which is not mounted`, { program });
  return root;
}
