import type { Device, KernelUpgrade, Preflight, Release, Run, Verdict } from '@bpfleet/api';

const at = '2026-05-01T10:00:00.000Z';

export const device: Device = {
  id: 'd0001a7c2f9',
  name: 'gw-\u001b[31moslo\u202e',
  labels: { site: 'oslo' },
  online: true,
  status: 'active',
  lastSeenAt: at,
  enrolledAt: at,
  facts: {
    hostname: 'gw',
    machine: null,
    distribution: 'Debian GNU/Linux 12',
    kernelRelease: '6.1.0-28-arm64',
    kernelArch: 'aarch64',
    kernelBuildId: null,
    userBits: 64,
    btfDigest: null,
    jit: 'on',
    lsm: [],
    cpus: 4,
    pageBytes: 4096,
    memoryBytes: 4 * 1024 ** 3,
    features: ['ringbuf'],
    agentVersion: '0.1.0',
  },
  desiredGeneration: 3,
  reportedGeneration: 3,
  refused: null,
  agent: { rssBytes: 64 * 1024 ** 2, spoolBytes: 0, spoolBatches: 0, uptimeSeconds: 60 },
  runs: { attached: 2, failed: 1, total: 3 },
};

export const refusedVerdict: Verdict = {
  kernel: { release: '6.18.0', arch: 'x86_64', buildId: null },
  verdict: 'refused',
  reason: 'trace_exec was refused',
  loadMs: null,
  programs: [
    {
      name: 'trace_exec',
      section: 'raw_tp/sched_process_exec',
      type: 'raw_tracepoint',
      verdict: 'refused',
      instructionCount: 90,
      verifiedInstructions: null,
      stackDepthBytes: null,
      errnoName: 'EACCES',
      explanation: {
        class: 'MAP_VALUE_OR_NULL',
        sentence: 'The program reads through a map value that may be NULL.',
        advice: 'Check the result of bpf_map_lookup_elem() first.',
        source: { file: 'trace_exec.bpf.c', line: 52, text: '\tslot->n += 1;' },
      },
      log: '0: R1=ctx()\n1: R0 invalid mem access \u001b[2Jmap_value_or_null\n',
    },
  ],
  provenAt: at,
};

export const release: Release = {
  id: 'r1',
  probe: 'trace_exec',
  version: '1.0.0',
  summary: 'Every program that is started',
  digest: 'ab'.repeat(32),
  createdAt: at,
  createdBy: 'kari',
  signature: { state: 'signed', keyids: ['cd'.repeat(32)] },
  manifest: 'name: trace_exec\n',
  params: [
    { name: 'with_args', type: 'boolean', default: false, unit: null, help: 'send the command line too' },
    { name: 'uid', type: 'number', default: -1, unit: null, help: null },
    { name: 'prefix', type: 'string', default: '', unit: null, help: null },
  ],
  objects: [{ arch: 'any', digest: 'ef'.repeat(32), bytes: 18_000 }],
  mapBytes: 262_144,
  metrics: [],
  events: [{ name: 'exec', columns: [{ name: 'pid', type: 'int8' }] }],
  profiles: [],
  warnings: [],
  verdicts: [
    {
      ...refusedVerdict,
      verdict: 'accepted',
      reason: null,
      loadMs: 6.2,
      programs: refusedVerdict.programs.map((program) => ({
        ...program,
        verdict: 'accepted' as const,
        verifiedInstructions: 1204,
        explanation: null,
        errnoName: null,
        log: null,
      })),
    },
  ],
};

export const run: Run = {
  id: 'run1',
  device: device.id,
  deviceName: device.name,
  releaseId: release.id,
  probe: release.probe,
  version: release.version,
  params: {},
  kind: 'debug',
  intent: 'debug',
  state: 'PENDING',
  error: null,
  hold: null,
  stats: null,
  createdAt: at,
  updatedAt: at,
  attachedAt: null,
  endsAt: '2126-05-01T10:10:00.000Z',
  endedAt: null,
};

const kernel = {
  id: 'a'.repeat(64),
  kernelRelease: '5.10.0-28-arm64\u001b[31m',
  kernelArch: 'arm64',
  kernelBuildId: null,
  userBits: 32,
  jit: 'on',
  lsm: [],
  pageBytes: 4096,
};
const refusal = {
  verdict: 'refuses' as const,
  reasons: [{ kind: 'feature', sentence: 'It lacks no ring buffer\u202e, which the probe requires.' }],
  proof: null,
  resolution: 'accepted' as const,
  types: 'own' as const,
};
const proof = {
  closeness: 'same_series' as const,
  kernelRelease: '6.1.0-50-arm64',
  kernelArch: 'arm64',
  by: 'lab' as const,
  at,
};

export const preflight: Preflight = {
  devices: 2,
  takes: 1,
  refuses: 1,
  unknown: 0,
  pending: 0,
  groups: [
    { ...refusal, kernel, devices: 1 },
    {
      ...refusal,
      kernel: { ...kernel, kernelRelease: '6.1.0-28-arm64' },
      devices: 1,
      verdict: 'takes',
      proof,
      reasons: [{ kind: 'proven', sentence: 'A kernel of the same series has loaded it.' }],
    },
  ],
  groupsLeftOff: 0,
  sample: [{ id: device.id, name: device.name }],
};

export const kernelUpgrade: KernelUpgrade = {
  devices: 2,
  runs: 1,
  takes: 0,
  refuses: 1,
  unknown: 0,
  pending: 0,
  kernels: [{ ...kernel, kernelRelease: '6.12.73' }],
  rows: [
    {
      ...refusal,
      release: { id: 'r1', probe: 'trace_exec', version: '1.0.0' },
      kernel: { ...kernel, kernelRelease: '6.12.73' },
      arch: 'arm64',
      devices: 1,
    },
  ],
  rowsLeftOff: 0,
};
