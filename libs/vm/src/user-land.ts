import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from './catalogue.js';
import type { PinnedFile, VmParts } from './catalogue.js';
import { runCommand, unpackDeb } from './command.js';
import { makeOnce } from './make-once.js';

/** The user land of an architecture, made once. */
export interface UserLand {
  /** An ext4 file system, sparse. VMs write to overlays of it, never to it. */
  readonly image: string;
  /** The programs of the initramfs: file in this folder → path in the initramfs. */
  readonly earlyFiles: readonly { readonly file: string; readonly path: string }[];
}

const LAYOUT_VERSION = 1;
const DISK_BYTES = 2 * 1024 ** 3;
// What nobody reads in a VM is a third of the user land.
const UNREAD = ['doc', 'man', 'info', 'locale', 'lintian', 'bash-completion', 'zsh', 'fish', 'i18n', 'bug'];
// Of busybox only what no package of the user land brings.
const APPLETS = ['awk', 'less', 'nc', 'ping', 'udhcpc', 'vi', 'wget', 'xxd'];
const EARLY_LIBRARIES = ['libc.so.6', 'libresolv.so.2'];
const LOADER: Record<VmParts['userArchitecture'], { readonly folder: string; readonly name: string }> = {
  arm64: { folder: 'aarch64-linux-gnu', name: 'ld-linux-aarch64.so.1' },
  armhf: { folder: 'arm-linux-gnueabihf', name: 'ld-linux-armhf.so.3' },
};

const ETC: Readonly<Record<string, string>> = {
  hostname: 'device\n',
  hosts: '127.0.0.1 localhost\n127.0.1.1 device\n10.0.2.2 host\n',
  // QEMU's user network answers DNS there.
  'resolv.conf': 'nameserver 10.0.2.3\n',
  // Empty: systemd makes one at its first boot, as on a freshly flashed device.
  'machine-id': '',
  fstab: '/dev/vda / ext4 defaults 0 0\n',
  'nsswitch.conf': 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n',
  shells: '/bin/sh\n',
  inittab: [
    '::sysinit:/run/bpfleet-vm/start',
    '::respawn:/run/bpfleet-vm/serve',
    '::shutdown:/bin/umount -a -r',
    '',
  ].join('\n'),
};

export async function userLand(parts: VmParts): Promise<UserLand> {
  const digests = parts.packages.map((one) => one.sha256).sort();
  const inputs = [LAYOUT_VERSION, DISK_BYTES, UNREAD, APPLETS, ETC, digests, parts.node.pin];
  const key = createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 24);
  const folder = join(cacheDir, 'vm/images', `${parts.userArchitecture}-${key}`);
  await makeOnce(folder, (work) => build(parts, work));
  const { name } = LOADER[parts.userArchitecture];
  return {
    image: join(folder, 'root.ext4'),
    earlyFiles: [
      { file: join(folder, 'busybox'), path: 'bin/busybox' },
      { file: join(folder, name), path: `lib/${name}` },
      ...EARLY_LIBRARIES.map((library) => ({ file: join(folder, library), path: `lib/${library}` })),
    ],
  };
}

async function build(parts: VmParts, work: string): Promise<void> {
  const root = join(work, 'root');
  mkdirSync(root);
  makeFolders(root);
  await unpackPackages(root, parts.packages);
  for (const name of UNREAD) rmSync(join(root, 'usr/share', name), { recursive: true, force: true });
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  await runCommand(
    'tar',
    '-xzf',
    parts.node.path,
    '-C',
    join(root, 'usr/local'),
    '--strip-components=1',
    'package/bin',
  );
  writeEtc(root);
  for (const name of APPLETS) symlinkSync('busybox', join(root, 'usr/bin', name));
  keepEarlyFiles(parts, root, work);
  await makeImage(root, join(work, 'root.ext4'));
  rmSync(root, { recursive: true });
}

/** Debian's merged /usr: packages that still ship /bin and /lib land behind the links. */
function makeFolders(root: string): void {
  for (const name of ['bin', 'sbin', 'lib']) {
    mkdirSync(join(root, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
  for (const name of ['boot', 'dev', 'etc', 'home', 'mnt', 'opt', 'proc', 'root', 'run', 'sys', 'var/tmp', 'var/log'])
    mkdirSync(join(root, name), { recursive: true });
  mkdirSync(join(root, 'tmp'), { mode: 0o1777 });
}

/** Unpacks without running any maintainer script, and tells dpkg so, that an agent's package can be installed on top. */
async function unpackPackages(root: string, packages: readonly PinnedFile[]): Promise<void> {
  const info = join(root, 'var/lib/dpkg/info');
  mkdirSync(info, { recursive: true });
  for (const name of ['updates', 'triggers']) mkdirSync(join(root, 'var/lib/dpkg', name), { recursive: true });
  const status: string[] = [];
  for (const one of packages) {
    const paths = await unpackDeb(one.path, root);
    const control = (await runCommand('dpkg-deb', '--field', one.path)).trimEnd();
    const lines = control.split('\n');
    const field = (name: string): string =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
    status.push(`${lines[0]}\nStatus: install ok installed\n${lines.slice(1).join('\n')}\n`);
    const name = field('Multi-Arch') === 'same' ? `${one.package}:${field('Architecture')}` : one.package;
    const listed = paths.map((path) => path.replace(/^\./, '').replace(/\/$/, '') || '/.');
    writeFileSync(join(info, `${name}.list`), `${listed.join('\n')}\n`);
  }
  writeFileSync(join(root, 'var/lib/dpkg/status'), `${status.join('\n')}`);
}

function writeEtc(root: string): void {
  for (const [name, text] of Object.entries(ETC)) writeFileSync(join(root, 'etc', name), text);
  // What base-passwd's maintainer script would do.
  for (const name of ['passwd', 'group'])
    copyFileSync(join(root, 'usr/share/base-passwd', `${name}.master`), join(root, 'etc', name));
  const users = readFileSync(join(root, 'etc/passwd'), 'utf8').trimEnd().split('\n');
  const shadow = users.map((line) => `${line.split(':')[0]}:*:19000:0:99999:7:::`);
  writeFileSync(join(root, 'etc/shadow'), `${shadow.join('\n')}\n`, { mode: 0o640 });
}

/** The initramfs needs busybox and its libraries before there is a disk. */
function keepEarlyFiles(parts: VmParts, root: string, work: string): void {
  const { folder, name } = LOADER[parts.userArchitecture];
  copyFileSync(join(root, 'usr/bin/busybox'), join(work, 'busybox'));
  for (const library of [name, ...EARLY_LIBRARIES])
    copyFileSync(join(root, 'usr/lib', folder, library), join(work, library));
}

async function makeImage(root: string, image: string): Promise<void> {
  writeFileSync(image, '');
  truncateSync(image, DISK_BYTES);
  // Tables are written now, so that no kernel thread of the guest does it while something is measured.
  const extended = 'nodiscard,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0';
  await runCommand('mkfs.ext4', '-q', '-F', '-L', 'device', '-m', '0', '-E', extended, '-d', root, image);
}
