import { requireBuffer, requireInteger } from './arguments.js';
import { argumentError } from './errors.js';

const testRunDataBytesMax = 1 << 20;
const contextBytesMax = 0xffff;
// A program may grow a packet (bpf_xdp_adjust_head, bpf_skb_change_*).
const testRunGrowthBytes = 512;
const batchFramesMax = 256;

// BPF_F_TEST_* (linux/bpf.h).
const testRunFlags = { onCpu: 1 << 0, xdpLiveFrames: 1 << 1 } as const;

export interface TestRunOptions {
  /** The packet, at most 1 MiB; the kernel may take less (a page, but for XDP programs that know fragments). */
  data?: Buffer;
  /** How long the packet may become; 512 bytes more than it was, unless told. Longer is ENOSPC. */
  dataOutBytesMax?: number;
  /**
   * The context: raw_tp an array of u64 arguments (≥ 5.10); skb types a struct __sk_buff (≥ 5.2) and XDP a struct xdp_md
   * (≥ 5.14), of which the kernel takes some fields and gives all back; sk_lookup a struct bpf_sk_lookup (≥ 5.13); syscall
   * programs their own struct (≥ 5.14), which they may write.
   */
  context?: Buffer;
  /**
   * How often, inside one call, which costs about 20 ms of RCU waiting. 0, as when left out, is once; raw_tp and syscall
   * programs take nothing else.
   */
  repeat?: number;
  /** raw_tp only (≥ 5.10): the CPU to run on. */
  cpu?: number;
  /**
   * XDP only (≥ 5.18): `repeat` packets that are really received, sent or redirected as the program says, this many in a
   * batch; 0 lets the kernel choose (64). Such a run gives back no packet and no context. Needs `context` with the interface.
   */
  liveBatchFrames?: number;
}

export interface TestRunResult {
  /** As the program returned it, unsigned: -1 of a tc program is 4294967295. */
  returnValue: number;
  /** Mean of one run; 0 for programs whose runs the kernel does not time (raw_tp, syscall). */
  durationNs: number;
  /** The packet as the program left it. */
  data?: Buffer;
  /** The context as the program left it, for the types that give it back. */
  context?: Buffer;
}

/** @internal */
export interface NativeTestRun {
  data: Buffer | undefined;
  context: Buffer | undefined;
  repeat: number;
  dataOutBytes: number;
  contextOutBytes: number;
  /** The program writes where it reads. */
  contextInPlace: boolean;
  flags: number;
  cpu: number;
  batchSize: number;
}

// The kernel refuses a buffer for what it does not give back.
const givesContextBack = new Set([
  'xdp',
  'sched_cls',
  'sched_act',
  'cgroup_skb',
  'lwt_in',
  'lwt_out',
  'lwt_xmit',
  'lwt_seg6local',
  'socket_filter',
]);

/** @internal */
export function requireTestRun(operation: string, programType: string, options: TestRunOptions): NativeTestRun {
  const repeat = requireInteger(operation, 'repeat', options.repeat ?? 0, 0, 0x7fff_ffff);
  const { data, context, cpu, liveBatchFrames } = options;
  if (data !== undefined) requireBuffer(operation, 'data', data);
  if (context !== undefined) requireBuffer(operation, 'context', context);
  const dataBytes = data?.length ?? 0;
  if (dataBytes > testRunDataBytesMax)
    throw argumentError(operation, `data has more than ${testRunDataBytesMax} bytes`);
  const contextBytes = context?.length ?? 0;
  if (contextBytes > contextBytesMax) throw argumentError(operation, `context has more than ${contextBytesMax} bytes`);
  if (cpu !== undefined) {
    requireInteger(operation, 'cpu', cpu, 0, 0xffff);
    if (!programType.startsWith('raw_tracepoint')) throw argumentError(operation, 'only raw_tp programs take a cpu');
  }
  const live = liveBatchFrames !== undefined;
  if (live) {
    requireInteger(operation, 'liveBatchFrames', liveBatchFrames, 0, batchFramesMax);
    if (programType !== 'xdp') throw argumentError(operation, 'only XDP programs run on live frames');
  }
  const dataOutBytesMax = requireInteger(
    operation,
    'dataOutBytesMax',
    options.dataOutBytesMax ?? dataBytes + testRunGrowthBytes,
    0,
    testRunDataBytesMax + testRunGrowthBytes,
  );
  return {
    data,
    context,
    repeat,
    dataOutBytes: data === undefined || live ? 0 : dataOutBytesMax,
    contextOutBytes: givesContextBack.has(programType) && !live ? contextBytes : 0,
    contextInPlace: programType === 'syscall',
    flags: (cpu === undefined ? 0 : testRunFlags.onCpu) | (live ? testRunFlags.xdpLiveFrames : 0),
    cpu: cpu ?? 0,
    batchSize: liveBatchFrames ?? 0,
  };
}
