import { closeSync, opendirSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import {
  attachTypes,
  BpfMap,
  enableStats,
  lacksOfKernel,
  LibbpfError,
  mapTypes,
  openObject,
  type KernelReport,
  type Link,
  type Program,
} from '@bpfleet/node-libbpf';
import type { Trial } from '../../core/doctor.js';
import { isBpffs } from '../bpffs.js';
import { TINY_PROGRAM, tinyObject } from './tiny-object.js';

/** The first interface of every network namespace is its loopback. */
const LOOPBACK = 1;
const LARGE_MAP_BYTES = 4 * 1024 ** 2;
const DETAIL_CHARS_MAX = 200;

interface AttachTrial {
  /** As in attachTypes. */
  readonly name: (typeof attachTypes)[number]['name'];
  readonly section: string;
  /** What lets pass whatever the program is asked about in the moment that it is attached. */
  readonly returns: number;
  readonly attach: (program: Program) => Link;
}

const bySection = (program: Program): Link => program.attach();
const XDP_PASS = 2;
/** On to whoever is next. */
const TCX_NEXT = -1;

/** Each on something that is rare, or that the program lets pass. */
const ATTACH_TRIALS: readonly AttachTrial[] = [
  { name: 'tracepoint', section: 'tracepoint/sched/sched_process_exec', returns: 0, attach: bySection },
  { name: 'raw_tp', section: 'raw_tp/sched_process_exec', returns: 0, attach: bySection },
  { name: 'tp_btf', section: 'tp_btf/sched_process_exec', returns: 0, attach: bySection },
  { name: 'kprobe', section: 'kprobe/do_exit', returns: 0, attach: bySection },
  // The kernel has it for such attachments, and calls it in test runs only.
  { name: 'fentry', section: 'fentry/bpf_fentry_test1', returns: 0, attach: bySection },
  { name: 'lsm', section: 'lsm/syslog', returns: 0, attach: bySection },
  { name: 'uprobe', section: 'uprobe', returns: 0, attach: (program) => program.attachUprobe(ownFunction()) },
  {
    ...{ name: 'perf_event', section: 'perf_event', returns: 0 },
    attach: (program) =>
      program.attachPerfEvent({ type: 'software', config: 0, frequencyHz: 1, cpu: -1, pid: process.pid }),
  },
  {
    ...{ name: 'xdp', section: 'xdp', returns: XDP_PASS },
    attach: (program) => program.attachXdp(LOOPBACK, { mode: 'generic' }),
  },
  {
    ...{ name: 'tcx', section: 'tcx/ingress', returns: TCX_NEXT },
    attach: (program) => program.attachTcx(LOOPBACK, 'ingress'),
  },
  {
    ...{ name: 'cgroup_skb', section: 'cgroup_skb/egress', returns: 1 },
    attach: (program) => program.attachCgroup(cgroupRoot()),
  },
  {
    ...{ name: 'sk_lookup', section: 'sk_lookup', returns: 1 },
    attach: (program) => program.attachNetns('/proc/self/ns/net'),
  },
  { name: 'iter', section: 'iter/bpf_map', returns: 0, attach: bySection },
];

/** Something is not there to be tried with, by name. */
class Lacking extends Error {}

/** The addon's own entry: exported on every processor, and ARM code on all of them (uprobes know no Thumb). */
function ownFunction() {
  const path = /^.*\s(\/\S*bpf\.node)$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[1];
  if (path === undefined) throw new Lacking('a file of its own that is mapped');
  return { path, function: 'napi_register_module_v1', pid: process.pid };
}

function cgroupRoot(): string {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const root = mounts.map((line) => line.split(' ')).find((fields) => fields[2] === 'cgroup2')?.[1];
  if (root === undefined) throw new Lacking('cgroup v2 (not mounted)');
  return root;
}

/** Already somebody else's: the kernel looked at everything before it said so. */
const TAKEN = new Set(['EBUSY', 'EEXIST']);

function attachOnce({ section, returns, attach }: AttachTrial): void {
  const spec = openObject(tinyObject(section, returns), { name: 'doctor' });
  let object;
  try {
    object = spec.load();
  } catch (error) {
    spec.close();
    throw error;
  }
  try {
    attach(object.program(TINY_PROGRAM)).detach();
  } catch (error) {
    if (!(error instanceof LibbpfError) || !TAKEN.has(error.errnoName)) throw error;
  } finally {
    object.close();
  }
}

const SMALL_MAP = { type: 'hash', name: 'doctor', keyBytes: 4, valueBytes: 8, maxEntries: 1 } as const;

function withMap(shape: Parameters<typeof BpfMap.create>[0], use: (map: BpfMap) => void = () => undefined): void {
  const map = BpfMap.create(shape);
  try {
    use(map);
  } finally {
    map.close();
  }
}

function pinOnce(bpffs: string): void {
  if (!isBpffs(bpffs)) throw new Lacking(`a bpffs at ${bpffs} (mount -t bpf bpf ${bpffs})`);
  withMap(SMALL_MAP, (map) => {
    map.pin(join(bpffs, `bpfleet_doctor_${process.pid}`));
    map.unpin();
  });
}

function readTracefs(): void {
  const readable = ['/sys/kernel/tracing/events', '/sys/kernel/debug/tracing/events'].some((path) => {
    try {
      // Not access(2), which leaves out the capabilities of whoever is not root.
      opendirSync(path).closeSync();
      return true;
    } catch {
      return false;
    }
  });
  if (readable) return;
  const mounted = readFileSync('/proc/self/mounts', 'utf8').includes(' tracefs ');
  throw new Lacking(mounted ? 'CAP_DAC_READ_SEARCH' : 'tracefs (mount -t tracefs tracefs /sys/kernel/tracing)');
}

/** Addresses are all zeros for whoever may not see them. */
function readSymbols(): void {
  const head = Buffer.alloc(4096);
  const fd = openSync('/proc/kallsyms', 'r');
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  if (!/^0*[1-9a-f][0-9a-f]* /m.test(head.toString('latin1'))) throw new Lacking('CAP_SYSLOG');
}

function featureTrials(bpffs: string, report: KernelReport): Record<string, () => void> {
  return {
    map: () => withMap(SMALL_MAP),
    ring_buffer: () => withMap({ type: 'ringbuf', name: 'doctor', keyBytes: 0, valueBytes: 0, maxEntries: 1 << 16 }),
    large_map: () =>
      withMap({ type: 'array', name: 'doctor', keyBytes: 4, valueBytes: 4096, maxEntries: LARGE_MAP_BYTES / 4096 }),
    batch_reads: () =>
      withMap(SMALL_MAP, (map) => {
        if (!map.readsInBatches()) throw new Lacking('kernel 5.6');
      }),
    pins: () => pinOnce(bpffs),
    run_time_statistics: () => enableStats().close(),
    objects_by_id: () => withMap(SMALL_MAP, (map) => BpfMap.openById(map.id)?.close()),
    tracefs: readTracefs,
    kernel_symbols: readSymbols,
    kernel_btf: () => {
      if (report.features.btf !== 'yes')
        throw new Lacking('a kernel with CONFIG_DEBUG_INFO_BTF, or a tailored BTF per release');
    },
    jit: () => {
      if (report.settings.jitEnabled === 0) throw new Lacking('net.core.bpf_jit_enable = 1');
    },
  };
}

/** Tries everything; attaches for moments only, and leaves nothing behind. */
export function tryEverything(bpffs: string, report: KernelReport): Trial[] {
  const attach = ATTACH_TRIALS.map((trial): Trial => {
    const type = attachTypes.find(({ name }) => name === trial.name);
    const lacks = type && lacksOfKernel(type, report);
    return tryOne('attach', trial.name, () => attachOnce(trial), lacks, report);
  });
  const lacksRing = mapTypes.filter(({ name }) => name === 'ringbuf').map((type) => lacksOfKernel(type, report))[0];
  const features = Object.entries(featureTrials(bpffs, report)).map(([name, act]) =>
    tryOne('feature', name, act, name === 'ring_buffer' ? lacksRing : undefined, report),
  );
  return [...attach, ...features];
}

function tryOne(
  group: Trial['group'],
  name: string,
  act: () => void,
  lacks: string | undefined,
  report: KernelReport,
): Trial {
  try {
    act();
  } catch (error) {
    return { group, name, works: false, ...explain(name, error, lacks, report) };
  }
  return { group, name, works: true, missing: [] };
}

function explain(
  name: string,
  error: unknown,
  lacks: string | undefined,
  report: KernelReport,
): Pick<Trial, 'missing' | 'detail'> {
  if (error instanceof Lacking) return { missing: [error.message] };
  if (!(error instanceof LibbpfError)) return { missing: [], detail: String(error).slice(0, DETAIL_CHARS_MAX) };
  const detail = (error.message.split('\n')[0] ?? '').slice(0, DETAIL_CHARS_MAX);
  const refused = error.errnoName === 'EPERM' || error.errnoName === 'EACCES';
  if (error.code === 'BPF_PIN' && refused)
    return { missing: [`a bpffs that user ${process.geteuid?.()} may write to`], detail };
  if (error.needs.length > 0) return { missing: [...error.needs, ...settingsInTheWay(name, error, report)], detail };
  // Every capability is there: what is left is lockdown, another security module, a seccomp filter.
  if (refused) return { missing: ['a policy that allows it'], detail };
  return { missing: lacks === undefined ? [] : [lacks], detail };
}

/** What an administrator could change instead of giving the process more. */
function settingsInTheWay(name: string, error: LibbpfError, { settings }: KernelReport): string[] {
  const paranoid = settings.perfEventParanoid ?? 0;
  // A uprobe takes CAP_SYS_ADMIN at every level.
  if (error.code === 'BPF_ATTACH' && name !== 'uprobe' && error.needs.includes('CAP_SYS_ADMIN') && paranoid >= 3)
    return [`or kernel.perf_event_paranoid ≤ 2 (it is ${paranoid}) and CAP_PERFMON`];
  if (error.needs.includes('CAP_SYS_RESOURCE'))
    return ['or LimitMEMLOCK=infinity (this kernel counts maps as locked memory)'];
  return [];
}
