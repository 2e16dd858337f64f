// Made-up but lifelike answers of a server, for looking at the web app without one. Every answer is checked against the
// contract before it is sent.
const iso = (msAgo = 0) => new Date(Date.now() - msAgo).toISOString();
const hex = (seed, length) =>
  Array.from({ length }, (_, i) => (((seed + 7) * (i + 13) * 2654435761) >>> 7).toString(16).slice(-1)).join('');

const kernels = [
  ['6.1.0-28-arm64', 'aarch64', 'gw-200', 'oslo'],
  ['5.10.0-33-arm64', 'aarch64', 'gw-100', 'bergen'],
  ['6.1.0-28-armmp', 'armv7l', 'meter-7', 'tromso'],
  ['6.18.0-amd64', 'x86_64', 'edge-1u', 'oslo'],
];

export const devices = Array.from({ length: 340 }, (_, i) => {
  const [kernelRelease, kernelArch, model, site] = kernels[i === 0 ? 3 : i % 4];
  const online = i % 7 !== 5;
  return {
    id: `d${(i + 1).toString().padStart(4, '0')}a7c2f9`,
    name: i === 0 ? 'this-machine' : i === 3 ? 'gw-\u202eevil\u0007name' : `${model}-${String(i).padStart(3, '0')}`,
    labels: { site, model },
    online,
    status: i === 11 ? 'revoked' : 'active',
    lastSeenAt: i === 19 ? null : iso(online ? 3_000 : i * 340_000),
    enrolledAt: iso(86_400_000 * 30),
    facts:
      i === 19
        ? null
        : {
            hostname: `${model}-${i}`,
            machine: 'QEMU virt',
            distribution: 'Debian GNU/Linux 12 (bookworm)',
            kernelRelease,
            kernelArch,
            kernelBuildId: hex(i % 4, 40),
            userBits: kernelArch === 'armv7l' ? 32 : 64,
            btfDigest: kernelArch === 'armv7l' ? null : hex(i % 4, 64),
            jit: 'on',
            lsm: ['lockdown', 'capability', 'yama', 'apparmor'],
            cpus: 4,
            pageBytes: 4096,
            memoryBytes: 4 * 1024 ** 3,
            features: ['ringbuf', 'raw_tp', 'tp_btf', 'xdp', 'perf_event', 'stats', 'pin_links', 'btf'],
            agentVersion: '0.1.0',
          },
    desiredGeneration: 12,
    reportedGeneration: i === 2 ? 11 : 12,
    refused:
      i === 4 ? { code: 'TRUST_SIGNATURE', message: 'no release key signed release run_queue_latency 1.0.0' } : null,
    agent: online ? { rssBytes: 71e6 + i * 1e4, spoolBytes: 48_000, spoolBatches: 3, uptimeSeconds: 86_400 + i } : null,
    runs: { attached: online ? 5 : 0, failed: i % 9 === 4 ? 1 : 0, total: 6 },
  };
});

const log = Array.from(
  { length: 60 },
  (_, i) =>
    `${i}: (${(0x61 + (i % 6)).toString(16)}) r${i % 9} = *(u64 *)(r${(i + 1) % 9} +${i * 8})\t; R${i % 9}_w=scalar()`,
).join('\n');

const kernel = { release: '6.18.0-amd64', arch: 'x86_64', buildId: hex(3, 40) };
const program = (name, section, type, more = {}) => ({
  name,
  section,
  type,
  verdict: 'accepted',
  instructionCount: 214,
  verifiedInstructions: 1893,
  stackDepthBytes: 96,
  errnoName: null,
  explanation: null,
  log: null,
  ...more,
});
const accepted = (programs) => ({
  kernel,
  verdict: 'accepted',
  reason: null,
  loadMs: 6.4,
  programs,
  provenAt: iso(7_200_000),
});
const number = (name, value, unit, help) => ({ name, type: 'number', default: value, unit, help });
const bool = (name, value, help) => ({ name, type: 'boolean', default: value, unit: null, help });
const column = (name, type) => ({ name, type });

const base = {
  summary: '',
  createdAt: iso(7_200_000),
  createdBy: 'admin',
  signature: { state: 'signed', keyids: [hex(77, 64)] },
  manifest: 'name: run_queue_latency\nversion: 1.0.0\nsummary: How long tasks that could run waited for a CPU\n',
  params: [],
  mapBytes: 4 * 1024 ** 2,
  metrics: [],
  events: [],
  profiles: [],
  warnings: [],
};
const release = (seed, probe, version, summary, more) => ({
  ...base,
  id: `r${seed}`,
  probe,
  version,
  summary,
  digest: hex(seed, 64),
  objects: [{ arch: 'any', digest: hex(seed + 50, 64), bytes: 18_412 }],
  ...more,
});
const refusedProgram = program('on_switch', 'raw_tp/sched_switch', 'raw_tracepoint', {
  verdict: 'refused',
  instructionCount: 88,
  verifiedInstructions: null,
  errnoName: 'EACCES',
  explanation: {
    class: 'MAP_VALUE_OR_NULL',
    sentence: 'The program reads through a map value that may be NULL.',
    advice: 'Check the result of bpf_map_lookup_elem() before you use it: if (!slot) return 0;',
    source: { file: 'run_queue_latency.bpf.c', line: 71, text: '\tslot->total_us += delta;' },
  },
  log,
});

export const releases = [
  release(1, 'run_queue_latency', '1.0.0', 'How long tasks that could run waited for a CPU', {
    params: [
      bool('by_comm', false, 'a histogram for each task name instead of one for all'),
      number('pid', 0, null, 'only the threads of this process; 0 is all'),
      number('min_us', 0, 'us', 'ignore shorter waits'),
    ],
    metrics: [
      {
        name: 'run_queue_latency_seconds',
        type: 'histogram',
        unit: 'us',
        help: 'time from being able to run to running; comm is empty unless by_comm is set',
      },
    ],
    warnings: [{ severity: 'warning', rule: 'map-memory', message: 'hists keeps 4 MiB on a device with 8 CPUs.' }],
    verdicts: [
      accepted([
        program('on_wakeup', 'raw_tp/sched_wakeup', 'raw_tracepoint'),
        program('on_wakeup_new', 'raw_tp/sched_wakeup_new', 'raw_tracepoint'),
        program('on_switch', 'raw_tp/sched_switch', 'raw_tracepoint', { stackDepthBytes: 144 }),
      ]),
      {
        ...accepted([refusedProgram]),
        kernel: { release: '5.10.0-33-arm64', arch: 'aarch64', buildId: null },
        verdict: 'refused',
        reason: 'on_switch was refused',
        loadMs: null,
      },
      {
        kernel: null,
        verdict: 'unproven',
        reason: 'no kernel like 6.1.0-28-armmp can be asked here',
        loadMs: null,
        programs: [],
        provenAt: iso(7e6),
      },
    ],
  }),
  release(2, 'count_syscalls', '1.0.0', 'How often each system call is made', {
    params: [number('pid', 0, null, 'only this process; 0 is all')],
    metrics: [{ name: 'syscalls_total', type: 'counter', unit: null, help: 'system calls entered' }],
    verdicts: [accepted([program('on_enter', 'raw_tp/sys_enter', 'raw_tracepoint')])],
  }),
  release(3, 'trace_exec', '1.0.0', 'Every program that is started, by whom, and on request with which arguments', {
    params: [
      bool('with_args', false, 'send the command line too; it may hold secrets'),
      number('uid', -1, null, 'only this user id; -1 is everybody'),
    ],
    events: [
      {
        name: 'exec',
        columns: [
          column('pid', 'int8'),
          column('ppid', 'int8'),
          column('uid', 'int8'),
          column('comm', 'text'),
          column('filename', 'text'),
          column('args', 'text'),
        ],
      },
    ],
    verdicts: [accepted([program('trace_exec', 'raw_tp/sched_process_exec', 'raw_tracepoint')])],
  }),
  release(4, 'trace_tcp', '1.1.0', 'TCP connections as they open and close, with both ends, process, and latency', {
    params: [number('port', 0, null, 'only connections with this port at either end; 0 is all')],
    events: [{ name: 'connection', columns: [column('saddr', 'inet'), column('sport', 'int4')] }],
    verdicts: [accepted([program('on_state', 'raw_tp/inet_sock_set_state', 'raw_tracepoint')])],
  }),
  release(5, 'profile_cpu', '1.0.0', 'What the CPUs are busy with, as sampled stacks', {
    params: [number('frequency_hz', 49, 'Hz', 'samples a second on each CPU')],
    profiles: [{ name: 'cpu' }],
    verdicts: [accepted([program('on_sample', 'perf_event', 'perf_event')])],
  }),
  release(6, 'count_packets', '1.0.0', 'Packets and bytes that arrive on an interface, by protocol', {
    params: [{ name: 'interface', type: 'string', default: 'lo', unit: null, help: 'interface to count on' }],
    metrics: [{ name: 'received_bytes_total', type: 'counter', unit: 'bytes', help: 'bytes that arrived' }],
    verdicts: [accepted([program('count_packets', 'xdp', 'xdp')])],
  }),
];
releases.push({ ...releases[3], id: 'r7', version: '1.0.0', createdAt: iso(9e8) });

export const probes = releases.slice(0, 6).map((one) => ({
  name: one.probe,
  summary: one.summary,
  latest: { id: one.id, version: one.version, createdAt: one.createdAt },
  releases: one.probe === 'trace_tcp' ? 2 : 1,
  runsAttached: 291,
}));

const stats = (seed) => ({
  measured: seed !== 4,
  runCount: 1_204_331 * seed,
  runTimeNs: 2_400_000_000 * seed,
  mapBytes: 4_194_304,
  eventsSeen: seed === 3 ? 18_204 : 0,
  drops: { kernel: seed === 3 ? 12 : seed === 5 ? null : 0, rate: 0, spool: 0 },
});
export const runOf = (one, index, more = {}) => ({
  id: `run${one.id}`,
  device: devices[0].id,
  deviceName: devices[0].name,
  releaseId: one.id,
  probe: one.probe,
  version: one.version,
  params: index === 0 ? { by_comm: true } : {},
  kind: 'assignment',
  intent: 'a1',
  state: 'SOAKED',
  error: null,
  hold: 'pinned',
  stats: stats(index + 1),
  createdAt: iso(3_600_000),
  updatedAt: iso(4_000),
  attachedAt: iso(3_595_000),
  endsAt: null,
  endedAt: null,
  ...more,
});
export const runs = releases.slice(0, 6).map((one, i) => runOf(one, i));
runs[3] = runOf(releases[3], 3, { state: 'ATTACHED', hold: 'process' });
runs[5] = runOf(releases[5], 5, {
  state: 'FAILED',
  attachedAt: null,
  stats: null,
  error: { code: 'AGENT_LOAD', message: 'the kernel refused count_packets: the interface eth9 does not exist', log },
});
const step = (msAgo, from, to, reason) => ({ at: iso(msAgo), from, to, reason });
export const debugRun = {
  ...runOf(releases[2], 2),
  id: 'debug1',
  kind: 'debug',
  state: 'ATTACHED',
  createdAt: iso(95_000),
  attachedAt: iso(92_000),
  endsAt: iso(-505_000),
};
runs.push(debugRun);
export const debugHistory = [
  step(95_000, null, 'PENDING', 'asked by admin'),
  step(94_000, 'PENDING', 'OFFERED', 'desired state 12 was sent'),
  step(93_400, 'OFFERED', 'VERIFYING', 'signature checked, loading'),
  step(92_000, 'VERIFYING', 'ATTACHED', 'attached to raw_tp/sched_process_exec'),
];

export const assignments = releases.slice(0, 6).map((one, i) => ({
  id: `a${i}`,
  releaseId: one.id,
  probe: one.probe,
  version: one.version,
  selector: i % 2 ? 'arch=arm64 and kernel>=5.10' : '',
  params: i === 0 ? { by_comm: true } : {},
  state: i === 5 ? 'withdrawn' : 'active',
  createdAt: iso(3_600_000 * (i + 1)),
  createdBy: 'admin',
  devices: 340 - i,
  runs: { SOAKED: 280, ATTACHED: 11, DEFERRED: 46, ...(i % 2 ? { REJECTED: 3, FAILED: 1 } : {}) },
}));

const still = { reason: null, receivedBytes: null, totalBytes: null };
const kernelOf = (facts, devices, btf) => ({
  id: hex(devices, 64),
  kernelRelease: facts.kernelRelease,
  kernelArch: facts.kernelArch,
  kernelBuildId: facts.kernelBuildId,
  userBits: facts.userBits,
  jit: facts.jit,
  lsm: facts.lsm,
  pageBytes: facts.pageBytes,
  devices,
  btf,
});
const withBtf = devices.find((one) => one.facts?.btfDigest).facts;
const withoutBtf = devices.find((one) => one.facts && !one.facts.btfDigest)?.facts ?? withBtf;

export const kernelGroups = [
  kernelOf(withBtf, 212, { ...still, state: 'known', digest: withBtf.btfDigest }),
  kernelOf(withoutBtf, 85, { ...still, state: 'missing', digest: null }),
];
