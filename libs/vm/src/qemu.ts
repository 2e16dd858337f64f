import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { spawnGuarded, which } from '@bpfleet/embedded';

type Architecture = 'arm64' | 'armhf';

export interface QemuOptions {
  readonly architecture: Architecture;
  readonly memoryMib: number;
  readonly cpus: number;
  readonly kernelImage: string;
  readonly initramfs: Buffer;
  readonly kernelArgs: readonly string[];
  readonly disk: { readonly path: string; readonly writable: boolean };
  /** Whether the guest reaches the host and what is beyond it. */
  readonly isolated: boolean;
  readonly forward: readonly { readonly hostPort: number; readonly guestPort: number }[];
  readonly clock: string;
  /** Whether it gets only what CPU time others leave. */
  readonly background: boolean;
}

export interface Qemu {
  readonly process: ChildProcess;
  readonly console: NodeJS.ReadableStream;
  readonly errors: NodeJS.ReadableStream;
  readonly control: Duplex;
  readonly qmp: Duplex;
}

const CONTROL_FD = 3;
const QMP_FD = 4;
const INITRAMFS_FD = 5;
// What boards of the field do not have, and emulation pays for: without signed pointers and vectors of any length a boot takes
// 9.2 s of CPU time in the place of 14.
const MACHINE: Record<Architecture, { readonly program: string; readonly cpu: string }> = {
  arm64: { program: 'qemu-system-aarch64', cpu: 'max,pauth=off,sve=off,sme=off' },
  armhf: { program: 'qemu-system-arm', cpu: 'cortex-a15' },
};

// QEMU translates code anew for each address at which it is mapped, and what a write to its page must throw away is found by
// walking all translations of that page. With randomised addresses each process adds its own: 150 times `true` took 6.1 s, not 0.9,
// and a reboot after a package was installed 50 s, not 9. The limit keeps dead ones from piling up; twice as much is no faster,
// half as much makes the start of Node slower.
const SAME_ADDRESSES = 'norandmaps';
const TRANSLATIONS_MIB = 256;

/** The program that emulates an architecture, where it is installed. */
export function qemuPath(architecture: Architecture): string | undefined {
  return which(MACHINE[architecture].program);
}

export function qemuProgram(architecture: Architecture): string {
  return MACHINE[architecture].program;
}

/**
 * All devices are virtio-mmio ones, which both architectures have (on 32 bit the PCI bus of `virt` does not come up). The disk is
 * an overlay in an unlinked file unless it is `writable`, so nothing is left of it when QEMU ends, however it ends.
 */
export function qemuArguments(options: QemuOptions): string[] {
  const forwards = options.forward.map((one) => `,hostfwd=tcp:127.0.0.1:${one.hostPort}-:${one.guestPort}`).join('');
  const network = `user,id=net${options.isolated ? ',restrict=on' : ''}${forwards}`;
  const overlay = options.disk.writable ? '' : ',snapshot=on';
  return [
    ...[
      '-no-user-config',
      '-nodefaults',
      '-display',
      'none',
      '-machine',
      'virt',
      '-cpu',
      MACHINE[options.architecture].cpu,
    ],
    ...[
      '-accel',
      `tcg,thread=multi,tb-size=${TRANSLATIONS_MIB}`,
      '-smp',
      `${options.cpus}`,
      '-m',
      `${options.memoryMib}`,
    ],
    ...['-rtc', `base=${options.clock}`],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=qmp,fd=${QMP_FD}`, '-mon', 'chardev=qmp,mode=control'],
    ...['-device', 'virtio-serial-device', '-chardev', `socket,id=control,fd=${CONTROL_FD}`],
    ...['-device', 'virtserialport,chardev=control,name=bpfleet.control'],
    ...['-drive', `file=${options.disk.path},format=raw,if=none,id=disk,discard=unmap${overlay}`],
    ...['-device', 'virtio-blk-device,drive=disk', '-device', 'virtio-rng-device'],
    ...['-netdev', network, '-device', 'virtio-net-device,netdev=net'],
    ...['-kernel', options.kernelImage, '-initrd', `/dev/fd/${INITRAMFS_FD}`],
    ...['-append', ['console=ttyAMA0', 'quiet', 'panic=-1', SAME_ADDRESSES, ...options.kernelArgs].join(' ')],
  ];
}

/** Starts QEMU under a guard that ends it with this process. Monitor and control channel are sockets that only the two share. */
export function startQemu(options: QemuOptions): Qemu {
  const program = qemuPath(options.architecture);
  if (program === undefined) throw new Error(`${MACHINE[options.architecture].program} is not installed`);
  const initramfs = unnamedFile(options.initramfs);
  try {
    const args = qemuArguments(options);
    const [command, before] = options.background ? ['nice', ['-n', '19', program]] : [program, []];
    const child = spawnGuarded(command, [...before, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', initramfs],
      // It has nothing to finish: its disk is thrown away, or the guest has synced it.
      stopGraceSeconds: 1,
    });
    const [, console, errors, control, qmp] = child.stdio;
    return {
      process: child,
      console: console as NodeJS.ReadableStream,
      errors: errors as NodeJS.ReadableStream,
      control: control as Duplex,
      qmp: qmp as Duplex,
    };
  } finally {
    closeSync(initramfs);
  }
}

/** A file that is gone with its last descriptor, so that no crash leaves it behind. */
function unnamedFile(contents: Buffer): number {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-vm-'));
  try {
    const path = join(folder, 'initramfs');
    writeFileSync(path, contents);
    return openSync(path, 'r');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
