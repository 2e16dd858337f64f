import { cpus } from 'node:os';
import { Agent } from '../agent.js';
import { BootClock } from '../kernel/boot-clock.js';
import { collectFacts, kernelKey } from '../kernel/facts.js';
import { noKernel } from '../kernel/no-kernel.js';
import type { Kernel } from '../kernel/port.js';
import { jsonLog } from '../log.js';
import { LeaseSheetFile } from '../store/lease-sheet-file.js';
import { StateFolder } from '../store/state-folder.js';
import { agentVersion } from '../version.js';
import { endOnUncaught } from './crash.js';
import { stopAgent } from './stop.js';

const STOP_TIMEOUT_MS = 9_000;
/** Where `bpfleet-reap` looks. On tmpfs, as it means nothing after a reboot. */
const LEASES_FOLDER = '/run/bpfleet';

export interface RunOptions {
  readonly state: string;
  /** Mount point of the bpffs that holds the pins. */
  readonly bpffs: string;
  readonly kernel: boolean;
  readonly btf?: string | undefined;
}

async function openKernel({ kernel, bpffs }: RunOptions, device: string, bootId: string): Promise<Kernel> {
  if (!kernel) return noKernel(cpus().length);
  // Only here, so that an agent without a kernel needs no native addon.
  const { LibbpfKernel } = await import('../kernel/libbpf-kernel.js');
  return new LibbpfKernel({ device, bootId, bpffs });
}

/** Runs until a signal: SIGTERM and SIGINT detach everything, SIGUSR2 leaves it pinned for the next agent. */
export async function run(options: RunOptions): Promise<void> {
  // A reader of the log that goes away must not take the agent with it.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const log = jsonLog((line) => process.stderr.write(line));
  endOnUncaught(process, log, (code) => process.exit(code));
  // From the first moment: whoever stops a service while it starts wants nothing of it left either.
  const signal = nextSignal();
  const clock = new BootClock();
  const monotonicMs = (): number => Number(clock.monotonicNs() / 1000n) / 1000;
  const state = new StateFolder(options.state, { monotonicMs, random: Math.random, log });
  const { device } = state.identity;
  const kernel = await openKernel(options, device, clock.bootId);
  const facts = await collectFacts(agentVersion, kernel, options.btf);
  const agent = new Agent({
    state,
    kernel,
    kernelKey: options.kernel ? kernelKey(facts) : 'none',
    facts,
    ...(options.btf === undefined ? {} : { btfPath: options.btf }),
    clock,
    log,
    ...(options.kernel ? { leaseSheet: new LeaseSheetFile(LEASES_FOLDER, device) } : {}),
    onReady: () => process.stdout.write(`${JSON.stringify({ ready: true, device })}\n`),
  });
  // A turn of the loop, in which a signal that came meanwhile is told.
  if ((await Promise.race([signal, turn()])) === undefined) {
    agent.start();
    log('info', 'agent.started', { device, kernel: options.kernel, version: agentVersion });
  }
  const name = await signal;
  log('info', 'agent.stopping', { signal: name });
  const mode = name === 'SIGUSR2' ? 'leave' : 'detach';
  process.exit(await stopAgent({ agent, kernel, mode, timeoutMs: STOP_TIMEOUT_MS, log }));
}

function turn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const) process.on(name, () => resolve(name));
  });
}
