import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const SOURCE = `
struct task_struct { long state; int pid; };
struct task_struct init_task = { .pid = 1 };
const char banner[] __attribute__((section(".rodata"))) = "Linux version 6.9.0-test (someone@somewhere)";
int first(struct task_struct *task) { return task->pid; }
`;

export interface MadeKernel {
  readonly path: string;
  readonly buildId: string;
}

/** A file that has what a kernel with debug information has: DWARF, a build id, and the banner. */
export function makeVmlinux(folder: string, name: string): MadeKernel {
  const source = join(folder, 'kernel.c');
  const path = join(folder, name);
  writeFileSync(source, SOURCE);
  const flags = ['-g', '-gdwarf-4', '-shared', '-nostdlib', '-Wl,--build-id=sha1'];
  execFileSync('gcc', [...flags, '-o', path, source]);
  const notes = execFileSync('readelf', ['-n', path], { encoding: 'utf8' });
  return { path, buildId: /Build ID: ([0-9a-f]+)/.exec(notes)?.[1] ?? '' };
}

/** The same with BTF inside, as kernels with CONFIG_DEBUG_INFO_BTF are built. */
export function addBtfSection({ path }: MadeKernel): Buffer {
  execFileSync('pahole', ['-J', path]);
  const btf = `${path}.section`;
  execFileSync('objcopy', ['-O', 'binary', '--only-section=.BTF', '--set-section-flags', '.BTF=alloc', path, btf]);
  return readFileSync(btf);
}

function field(text: string, bytes: number): Buffer {
  return Buffer.from(text.padEnd(bytes, ' ').slice(0, bytes), 'latin1');
}

/** An ar archive as deb(5) has it, around a data.tar that is packed already. */
export function makeDeb(path: string, dataName: string, data: Buffer): void {
  const member = (name: string, bytes: Buffer): Buffer =>
    Buffer.concat([
      field(name, 16),
      field('0', 12),
      field('0', 6),
      field('0', 6),
      field('100644', 8),
      field(String(bytes.length), 10),
      Buffer.from('`\n'),
      bytes,
      Buffer.alloc(bytes.length % 2, '\n'),
    ]);
  const members = [
    member('debian-binary', Buffer.from('2.0\n')),
    member('control.tar.gz', Buffer.from('odd')),
    member(dataName, data),
  ];
  writeFileSync(path, Buffer.concat([Buffer.from('!<arch>\n'), ...members]));
}

/** A module that says what it needs, as moduleInfo reads it. */
export function makeModule(folder: string, ...depends: readonly string[]): Buffer {
  const source = `const char info[] __attribute__((section(".modinfo"))) = "depends=${depends.join(',')}";`;
  const path = join(folder, 'module.ko');
  execFileSync('gcc', ['-c', '-x', 'c', '-', '-o', path], { input: source });
  return readFileSync(path);
}

/** A Debian package of these files, in this order. */
export function makePackage(folder: string, path: string, files: Readonly<Record<string, Buffer | string>>): void {
  const root = mkdtempSync(join(folder, 'root-'));
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), bytes);
  }
  const names = Object.keys(files).map((name) => `./${name}`);
  const tar = execFileSync('tar', ['-c', '-C', root, ...names], { maxBuffer: 1 << 26 });
  makeDeb(path, 'data.tar.gz', gzipSync(tar));
}

/** A package of a kernel with these modules, and all else that a VM needs built in. */
export function makeKernelPackage(folder: string, path: string, release: string, modules: readonly string[]): void {
  const module = makeModule(folder);
  makePackage(folder, path, {
    [`boot/vmlinuz-${release}`]: 'the image',
    [`boot/config-${release}`]: 'CONFIG_BPF=y\n',
    [`lib/modules/${release}/modules.builtin`]: 'kernel/fs/ext4/ext4.ko\n',
    ...Object.fromEntries(modules.map((name) => [`lib/modules/${release}/kernel/${name}.ko`, module])),
  });
}
