import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, which } from '@bpfleet/embedded';
import { cacheDir, isComplete, partsOf, repositoryDir } from './catalogue.js';
import type { VmParts, VmTarget } from './catalogue.js';
import { RunningVm } from './running-vm.js';
import { initramfs } from './initramfs.js';
import type { VmInit } from './initramfs.js';
import { kernelFiles, ownKernel, type OwnKernel } from './kernel-files.js';
import { qemuPath, qemuProgram } from './qemu.js';
import { userLand } from './user-land.js';
import { VmError } from './vm-error.js';

const run = promisify(execFile);

/** What `startVm` takes; sizes are those of a small gateway unless said otherwise. */
export interface VmOptions {
  readonly target: VmTarget;
  /**
   * A kernel to boot in the place of the target's, of the same architecture. What the VM is made of must be built into it
   * or be among its modules: docs/lab-kernel.config.
   */
  readonly own?: OwnKernel;
  /** Default 1024. */
  readonly memoryMib?: number;
  /** Default 2. */
  readonly cpus?: number;
  /** Added to the kernel's command line, such as `lsm=lockdown,yama,bpf`. */
  readonly kernelArgs?: readonly string[];
  /** `systemd` boots as Debian does, `busybox` (default) only starts the control service. */
  readonly init?: VmInit;
  /** Ports of the guest to reach from the host; `RunningVm.port` tells where. The guest reaches the host's loopback as 10.0.2.2. */
  readonly forward?: readonly number[];
  /** The guest reaches nothing but what it is sent, for what nobody vouches for; `forward` still works. Default: it does. */
  readonly isolated?: boolean;
  /** It gets only the CPU time that others leave, and is as late as that makes it. Default: it takes its share. */
  readonly background?: boolean;
  /** The device's clock at its start; default: now. A device without a battery-backed clock starts in 1970. */
  readonly clock?: Date;
  /** Default 120 s: an idle machine takes a tenth of it, a busy one may not. */
  readonly bootTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

const BOOT_TIMEOUT_MS = 120_000;
const FETCH_TIMEOUT_MS = 900_000;
const HOST_PROGRAMS = ['dpkg-deb', 'tar', 'bash', 'xz', 'mkfs.ext4'];
let started = 0;

/**
 * Fetches what a target is made of and is not in the cache yet.
 * @returns what cannot be had, in words that fit a skipped test's title; nothing when the VM can be started
 */
export async function missingForVm(target: VmTarget): Promise<string | undefined> {
  const parts = partsOf(target);
  if (qemuPath(parts.kernelArchitecture) === undefined) return qemuProgram(parts.kernelArchitecture);
  const program = HOST_PROGRAMS.find((name) => which(name) === undefined);
  if (program !== undefined) return program;
  if (isComplete(parts)) return undefined;
  const script = join(repositoryDir, 'scripts/vm-artifacts.mjs');
  const { stdout } = await run(process.execPath, [script, 'fetch', target], { timeout: FETCH_TIMEOUT_MS });
  return (JSON.parse(stdout) as { missing?: string }).missing;
}

/**
 * Boots a kernel of the catalogue under emulation. The caller stops it; it also ends with this process, however that ends.
 * @throws VmError VM_MISSING, VM_BOOT, VM_PANIC, VM_EXITED
 */
export async function startVm(options: VmOptions): Promise<RunningVm> {
  const missing = await missingForVm(options.target);
  if (missing !== undefined)
    throw new VmError('VM_MISSING', `${options.target} cannot be started: it needs ${missing}`);
  const parts = partsOf(options.target);
  const kernel = options.own === undefined ? await kernelFiles(parts.kernel) : ownKernel(options.own);
  const land = await userLand(parts);
  const archive = await initramfs(kernel, land, options.init ?? 'busybox');
  const vm = await launch(options, parts, {
    kernelImage: kernel.image,
    initramfs: archive,
    disk: { path: land.image, writable: false },
  });
  try {
    await vm.booted(options.bootTimeoutMs ?? BOOT_TIMEOUT_MS, options.signal);
    return vm;
  } catch (error) {
    await vm.stop();
    throw error;
  }
}

async function launch(
  options: VmOptions,
  parts: VmParts,
  files: { kernelImage: string; initramfs: Buffer; disk: { path: string; writable: boolean } },
): Promise<RunningVm> {
  const forward: { hostPort: number; guestPort: number }[] = [];
  for (const guestPort of options.forward ?? []) forward.push({ hostPort: await freePort(), guestPort });
  return new RunningVm(
    options.target,
    {
      ...files,
      architecture: parts.kernelArchitecture,
      memoryMib: options.memoryMib ?? 1024,
      cpus: options.cpus ?? 2,
      kernelArgs: options.kernelArgs ?? [],
      isolated: options.isolated ?? false,
      background: options.background ?? false,
      clock: (options.clock ?? new Date()).toISOString().slice(0, 19),
      forward,
    },
    join(cacheDir, 'vm/console', `${options.target}-${process.pid}-${(started += 1)}.log`),
  );
}
