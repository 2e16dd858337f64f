import { expect, it } from '@jest/globals';
import type { CapabilityName, PrivilegedAction, PrivilegeFacts } from './index.js';
import { LibbpfError, missingCapabilities, neededCapabilities } from './index.js';

const agent: CapabilityName[] = ['CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN'];

function facts(effective: CapabilityName[], more: Partial<PrivilegeFacts> = {}): PrivilegeFacts {
  return {
    effective: new Set(effective),
    kernel: [6, 12],
    machine: 'x86_64',
    unprivilegedBpfDisabled: 2,
    perfEventParanoid: 2,
    tracefsReadable: false,
    ...more,
  };
}

it.each<[string, PrivilegedAction, CapabilityName[], CapabilityName[]]>([
  ['loading a tracing program', { does: 'load', programType: 'tracing' }, ['CAP_BPF'], ['CAP_PERFMON']],
  ['loading an XDP program', { does: 'load', programType: 'xdp' }, ['CAP_BPF', 'CAP_PERFMON'], ['CAP_NET_ADMIN']],
  ['freplace', { does: 'load', programType: 'ext' }, [], ['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON']],
  ['a socket filter', { does: 'load', programType: 'socket_filter' }, [], ['CAP_BPF']],
  ['a sockmap', { does: 'create_map', mapType: 'sockmap' }, ['CAP_BPF'], ['CAP_NET_ADMIN']],
  ['a hash', { does: 'create_map', mapType: 'hash' }, [], ['CAP_BPF']],
  ['opening by id', { does: 'open_by_id' }, agent, ['CAP_SYS_ADMIN']],
  ['statistics', { does: 'enable_stats' }, agent, ['CAP_SYS_ADMIN']],
  ['a uprobe', { does: 'attach', to: 'uprobe' }, agent, ['CAP_SYS_ADMIN']],
  ['a USDT', { does: 'attach', to: 'usdt' }, agent, []],
  ['a kprobe', { does: 'attach', to: 'kprobe' }, ['CAP_BPF'], ['CAP_PERFMON']],
  ['a tracepoint', { does: 'attach', to: 'tracepoint' }, agent, ['CAP_DAC_READ_SEARCH']],
  ['cgroup_skb', { does: 'attach', to: 'cgroup_skb' }, ['CAP_BPF'], ['CAP_NET_ADMIN']],
  ['kernel symbols', { does: 'read_kernel_symbols' }, agent, ['CAP_SYSLOG']],
])('%s lacks what the kernel asks for and the process has not', (_name, action, has, lacks) => {
  expect(missingCapabilities(action, facts(has))).toEqual(lacks);
});

it('takes CAP_SYS_ADMIN for the three that were split off from it, and for nothing else', () => {
  const root = facts(['CAP_SYS_ADMIN']);
  expect(missingCapabilities({ does: 'load', programType: 'ext' }, root)).toEqual([]);
  expect(missingCapabilities({ does: 'attach', to: 'tracepoint' }, root)).toEqual(['CAP_DAC_READ_SEARCH']);
  expect(missingCapabilities({ does: 'read_kernel_symbols' }, root)).toEqual(['CAP_SYSLOG']);
});

it('asks for CAP_SYS_ADMIN alone below 5.8', () => {
  const old = facts(agent, { kernel: [5, 4], tracefsReadable: true });
  expect(neededCapabilities({ does: 'load', programType: 'xdp' }, old)).toEqual(['CAP_SYS_ADMIN']);
  expect(neededCapabilities({ does: 'attach', to: 'tracepoint' }, old)).toEqual(['CAP_SYS_ADMIN']);
  const before = facts(agent, { kernel: [6, 5] });
  expect(neededCapabilities({ does: 'attach', to: 'usdt' }, before)).toEqual(['CAP_SYS_ADMIN']);
  const narrow = facts(agent, { machine: 'armv7l' });
  expect(neededCapabilities({ does: 'attach', to: 'usdt' }, narrow)).toEqual(['CAP_SYS_ADMIN']);
});

it('knows where the settings of a system ask for less or more', () => {
  const open = facts([], { unprivilegedBpfDisabled: 0, perfEventParanoid: -1, tracefsReadable: true });
  expect(neededCapabilities({ does: 'load', programType: 'socket_filter' }, open)).toEqual([]);
  expect(neededCapabilities({ does: 'create_map', mapType: 'hash' }, open)).toEqual([]);
  expect(neededCapabilities({ does: 'create_map', mapType: 'lru_hash' }, open)).toEqual(['CAP_BPF']);
  expect(neededCapabilities({ does: 'attach', to: 'tracepoint' }, open)).toEqual([]);
  expect(neededCapabilities({ does: 'attach', to: 'perf_event' }, facts([], { perfEventParanoid: 3 }))).toEqual([
    'CAP_SYS_ADMIN',
  ]);
});

it('calls EPERM a matter of RLIMIT_MEMLOCK where kernels charged it, and names nothing where all is there', () => {
  const charged = facts(['CAP_SYS_ADMIN'], { kernel: [5, 10] });
  expect(missingCapabilities({ does: 'create_map', mapType: 'hash' }, charged)).toEqual(['CAP_SYS_RESOURCE']);
  const modern = facts(['CAP_SYS_ADMIN']);
  expect(missingCapabilities({ does: 'create_map', mapType: 'hash' }, modern)).toEqual([]);
});

it('says in the message what is needed', () => {
  const error = new LibbpfError('BPF_ATTACH', 'attach a', 1, 'more', ['CAP_PERFMON', 'CAP_BPF']);
  expect(error.message).toBe('attach a: EPERM (Operation not permitted) [needs CAP_PERFMON, CAP_BPF] more');
  expect(error.needs).toEqual(['CAP_PERFMON', 'CAP_BPF']);
  expect(new LibbpfError('BPF_ATTACH', 'attach a', 1).needs).toEqual([]);
});
