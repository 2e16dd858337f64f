import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transform } from '@swc/core';
import type { CpioEntry } from './cpio.js';
import { cpioArchive } from './cpio.js';
import type { KernelFiles } from './kernel-files.js';
import type { UserLand } from './user-land.js';

export type VmInit = 'busybox' | 'systemd';

const sourceDir = fileURLToPath(new URL('../src/', import.meta.url));
const GUEST_PROGRAM = ['frames.ts', 'guest/exchange.ts', 'guest/serve.ts'];

/**
 * PID 1 of the initramfs: loads the modules, mounts the disk, hands over to the user land's init. Under emulation each program that
 * is started costs a tenth of a second, so one modprobe loads all modules and one mount mounts all file systems.
 */
const INIT_SCRIPT = `#!/bin/busybox sh
b=/bin/busybox
die() { $b echo "bpfleet-vm: $1"; $b sleep 1; $b poweroff -f; }
$b mount -a
$b mkdir /dev/pts /dev/shm
read -r _ _ release _ < /proc/version
$b mv /modules "/lib/modules/$release"
$MODPROBE
tries=100
while [ ! -b /dev/vda ]; do tries=$((tries - 1)); [ $tries -gt 0 ] || die "no disk"; $b sleep 0.1; done
$b mount -t ext4 /dev/vda /new || die "the disk cannot be mounted"
$b mount -a -T /etc/fstab.new
[ -e /new/sys/class/virtio-ports ] || die "no virtio console"
[ -e "/new/boot/config-$release" ] || [ ! -e /config ] || $b cp /config "/new/boot/config-$release"
$b mv /guest /new/run/bpfleet-vm
[ -d /systemd ] && $b mv /systemd /new/run/systemd
exec $b switch_root /new $INIT
`;

const EARLY_MOUNTS = ['proc /proc proc', 'dev /dev devtmpfs'];

/** What every init finds mounted, and what systemd would mount where busybox's init does not. */
const MOUNTS: Record<VmInit, readonly string[]> = {
  systemd: ['proc /new/proc proc', 'sysfs /new/sys sysfs', 'dev /new/dev devtmpfs', 'run /new/run tmpfs mode=755'],
  busybox: [
    ...['proc /new/proc proc', 'sysfs /new/sys sysfs', 'dev /new/dev devtmpfs', 'run /new/run tmpfs mode=755'],
    ...['devpts /new/dev/pts devpts', 'shm /new/dev/shm tmpfs', 'tmp /new/tmp tmpfs mode=1777'],
    ...['securityfs /new/sys/kernel/security securityfs', 'debugfs /new/sys/kernel/debug debugfs mode=700'],
    ...['tracefs /new/sys/kernel/tracing tracefs mode=700', 'bpf /new/sys/fs/bpf bpf mode=700'],
    'cgroup2 /new/sys/fs/cgroup cgroup2',
  ],
};

/** QEMU's user network: the guest is 10.0.2.15, the host's loopback 10.0.2.2. */
const START_SCRIPT = `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
read -r name < /etc/hostname
echo "$name" > /proc/sys/kernel/hostname
for device in /sys/class/net/*; do
  [ -e "$device/device" ] && network=\${device##*/}
done
ip -force -batch - <<END
link set lo up
link set $network up
address add 10.0.2.15/24 dev $network
route add default via 10.0.2.2
END
exit 0
`;

const SERVE_SCRIPT = `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 UV_USE_IO_URING=0
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" = bpfleet.control ] && device=/dev/\${port##*/}
done
exec node --max-old-space-size=64 --max-semi-space-size=1 /run/bpfleet-vm/guest/serve.js "$device"
`;

const SERVE_UNIT = `[Unit]
Description=bpfleet VM control service
DefaultDependencies=no
After=systemd-remount-fs.service systemd-tmpfiles-setup-dev.service
[Service]
ExecStartPre=/run/bpfleet-vm/start
ExecStart=/run/bpfleet-vm/serve
Restart=always
StandardOutput=journal+console
StandardError=journal+console
KillMode=process
`;

const UNIT_NAME = 'bpfleet-vm-control.service';
/**
 * Nobody sits at the console, every module is loaded already, and each unit that is started costs half a second under emulation.
 * Masked in /run, as `systemctl mask --runtime` does it.
 */
const MASKED_UNITS = [
  'getty.target',
  'getty-static.service',
  'serial-getty@ttyAMA0.service',
  'dev-hugepages.mount',
  'dev-mqueue.mount',
  ...['configfs', 'dm_mod', 'drm', 'efi_pstore', 'fuse', 'loop'].map((module) => `modprobe@${module}.service`),
];
const SYSTEMD_UNITS: readonly CpioEntry[] = [
  { path: `systemd/system/${UNIT_NAME}`, data: Buffer.from(SERVE_UNIT) },
  { path: `systemd/system/sysinit.target.wants/${UNIT_NAME}`, target: `../${UNIT_NAME}` },
  ...MASKED_UNITS.map((unit) => ({ path: `systemd/system/${unit}`, target: '/dev/null' })),
];

const PROGRAM: Record<VmInit, string> = {
  busybox: '/usr/bin/busybox init',
  systemd: '/usr/lib/systemd/systemd',
};

/** Everything that belongs to one start of one kernel: small, so that it is made anew each time. */
export async function initramfs(kernel: KernelFiles, userLand: UserLand, init: VmInit): Promise<Buffer> {
  const modules = kernel.modules.map((file) => ({ name: basename(file, '.ko'), file }));
  const script = INIT_SCRIPT.replace('$MODPROBE', modprobe(modules.map((one) => one.name))).replace(
    '$INIT',
    PROGRAM[init],
  );
  return cpioArchive([
    executable('init', script),
    ...['dev', 'proc', 'new'].map((path) => ({ path, folder: true as const })),
    text('etc/fstab', fstab(EARLY_MOUNTS)),
    text('etc/fstab.new', fstab(MOUNTS[init])),
    ...userLand.earlyFiles.map(({ file, path }) => ({ path, data: readFileSync(file), mode: 0o755 })),
    ...modules.map(({ name, file }) => ({ path: `modules/${name}.ko`, data: readFileSync(file) })),
    // They are loaded in an order in which each finds what it needs, so none names another.
    text('modules/modules.dep', modules.map(({ name }) => `${name}.ko:\n`).join('')),
    { path: 'lib/modules', folder: true },
    ...(kernel.config === undefined ? [] : [{ path: 'config', data: readFileSync(kernel.config) }]),
    executable('guest/start', START_SCRIPT),
    executable('guest/serve', SERVE_SCRIPT),
    text('guest/package.json', '{"type":"module"}'),
    ...(await guestProgram()),
    ...(init === 'systemd' ? SYSTEMD_UNITS : []),
  ]);
}

function modprobe(names: readonly string[]): string {
  return names.length === 0 ? '' : `$b modprobe -a ${names.join(' ')} || die "a module does not load"`;
}

function text(path: string, contents: string): CpioEntry {
  return { path, data: Buffer.from(contents) };
}

function executable(path: string, contents: string): CpioEntry {
  return { path, data: Buffer.from(contents), mode: 0o755 };
}

function fstab(mounts: readonly string[]): string {
  return mounts.map((line) => `${line.split(' ').length === 3 ? `${line} defaults` : line} 0 0\n`).join('');
}

/** The guest has no TypeScript: its half of the control channel is stripped of types here. */
async function guestProgram(): Promise<CpioEntry[]> {
  return Promise.all(
    GUEST_PROGRAM.map(async (file) => {
      const { code } = await transform(readFileSync(join(sourceDir, file), 'utf8'), {
        filename: file,
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'es6' },
      });
      return { path: `guest/${file.replace(/\.ts$/, '.js')}`, data: Buffer.from(code) };
    }),
  );
}
