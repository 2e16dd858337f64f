import type { FeatureName } from './kernel-features.js';

/** One map type: since when, and by what one reads it. */
export interface MapTypeFacts {
  /** libbpf's name. */
  name: string;
  since: string;
  commit: string;
  /** Later on some processors, or never (`''`): by the kernel's machine. */
  sinceByMachine?: Readonly<Record<string, string>>;
  /** Its programs call back, which no kernel interprets: with the JIT off the verifier refuses them. */
  needsJit?: true;
  /** The class of this library for it; BpfMap where keys and values are plain. */
  view: string;
  /** Options of the kernel's configuration that it needs beside BPF_SYSCALL. */
  config: readonly string[];
  /** The question of probeKernel() that is about more than making one. */
  feature?: FeatureName;
}

const plain = (name: string, since: string, commit: string) => ({ name, since, commit, view: 'BpfMap', config: [] });

/** Every map type that user space can make or touch. The README's table is made of it, and each entry has a check that uses it. */
export const mapTypes: readonly MapTypeFacts[] = [
  plain('hash', '3.19', '0f8e4bd8a1fc'),
  plain('array', '3.19', '28fbcfa08d8e'),
  { name: 'prog_array', since: '4.2', commit: '04fd61ab36ec', view: 'ProgramArray', config: [] },
  { name: 'perf_event_array', since: '4.3', commit: 'ea317b267e9d', view: 'PerfReader', config: ['PERF_EVENTS'] },
  plain('percpu_hash', '4.6', '824bd0ce6c7c'),
  plain('percpu_array', '4.6', 'a10423b87a7e'),
  { name: 'stack_trace', since: '4.6', commit: 'd5a3b1f69186', view: 'BpfMap', config: ['PERF_EVENTS'] },
  { name: 'cgroup_array', since: '4.8', commit: '4ed8ec521ed5', view: 'BpfMap', config: ['CGROUPS'] },
  plain('lru_hash', '4.10', '29ba732acbee'),
  plain('lru_percpu_hash', '4.10', '8f8449384ec3'),
  { name: 'lpm_trie', since: '4.11', commit: 'b95a5c4db09b', view: 'BpfMap, lpmKey', config: [] },
  {
    name: 'array_of_maps',
    since: '4.12',
    commit: '56f668dfe00d',
    // Slots are written and read at different places: see MapOfMaps.
    sinceByMachine: { armv7l: '' },
    view: 'MapOfMaps',
    config: [],
  },
  { name: 'hash_of_maps', since: '4.12', commit: 'bcc6b1b7ebf8', view: 'MapOfMaps', config: [] },
  { name: 'devmap', since: '4.14', commit: '546ac1ffb70d', view: 'BpfMap', config: ['NET'] },
  { name: 'sockmap', since: '4.14', commit: '174a79ff9515', view: 'BpfMap', config: ['NET'] },
  { name: 'cpumap', since: '4.15', commit: '6710e1126934', view: 'BpfMap', config: ['NET'] },
  { name: 'xskmap', since: '4.18', commit: 'fbfc504a24f5', view: 'BpfMap', config: ['XDP_SOCKETS'] },
  { name: 'sockhash', since: '4.18', commit: '81110384441a', view: 'BpfMap', config: ['NET'] },
  { name: 'cgroup_storage', since: '4.19', commit: 'de9cbbaadba5', view: 'BpfMap', config: ['CGROUP_BPF'] },
  { name: 'reuseport_sockarray', since: '4.19', commit: '5dc4c4b7d4e8', view: 'BpfMap', config: ['INET'] },
  { name: 'percpu_cgroup_storage', since: '4.20', commit: 'b741f1630346', view: 'BpfMap', config: ['CGROUP_BPF'] },
  { name: 'queue', since: '4.20', commit: 'f1a2e44a3aec', view: 'MapQueue', config: [] },
  { name: 'stack', since: '4.20', commit: 'f1a2e44a3aec', view: 'MapQueue', config: [] },
  { name: 'sk_storage', since: '5.2', commit: '6ac99e8f23d4', view: 'StorageMap', config: ['NET'] },
  { name: 'devmap_hash', since: '5.4', commit: '6f9d451ab1a3', view: 'BpfMap', config: ['NET'] },
  {
    name: 'struct_ops',
    since: '5.6',
    commit: '85d33df357b6',
    // Registered through trampolines, as the attach type of this name.
    sinceByMachine: { aarch64: '6.0', armv7l: '' },
    view: 'BpfObject.attachStructOps',
    config: ['DEBUG_INFO_BTF'],
  },
  { name: 'ringbuf', since: '5.8', commit: '457f44363a88', view: 'RingReader', config: [] },
  {
    name: 'inode_storage',
    since: '5.10',
    commit: '8ea636848aca',
    view: 'StorageMap',
    config: ['BPF_LSM'],
    feature: 'active_bpf_lsm',
  },
  { name: 'task_storage', since: '5.11', commit: '4cf1bc1f1045', view: 'StorageMap', config: [] },
  { name: 'bloom_filter', since: '5.16', commit: '9330986c0300', view: 'BloomFilter', config: [] },
  { name: 'user_ringbuf', since: '6.1', commit: '583c1f420173', view: 'UserRingWriter', config: [], needsJit: true },
  { name: 'cgrp_storage', since: '6.2', commit: 'c4bcfb38a95e', view: 'StorageMap', config: ['CGROUPS'] },
  { name: 'arena', since: '6.9', commit: '317460317a02', view: 'BpfMap.mmap', config: ['MMU'] },
];
