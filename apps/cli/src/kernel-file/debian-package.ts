import { spawn } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { CliError } from '../exit-code.js';
import { readAt } from './file-bytes.js';
import { unpackerOf } from './packed-bytes.js';
import { tarEntries, type TarEntry } from './tar.js';
import type { KernelFile } from './types.js';

const AR_MAGIC_BYTES = 8;
const AR_HEADER_BYTES = 60;
const MEMBERS_MAX = 16;
/** Where Debian, Ubuntu and those after them keep the kernel with its debug information. */
const VMLINUX = /^(\.\/)?usr\/lib\/debug\/(boot\/vmlinux-[^/]+|lib\/modules\/[^/]+\/vmlinux)$/;
interface Member {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Takes the vmlinux out of a Debian package of debug information, gives it to `read`, and removes it again. The archive is
 * read as it is unpacked: it has several GB, of which this one file is wanted.
 * @throws CliError KERNEL_FILE, TOOL_MISSING
 */
export async function withVmlinuxOf(
  path: string,
  file: FileHandle,
  note: (line: string) => void,
  read: (vmlinux: string, note: (line: string) => void) => Promise<KernelFile>,
): Promise<KernelFile> {
  const folder = await mkdtemp(join(tmpdir(), 'bpfleet-vmlinux-'));
  note(`unpacking ${basename(path)} until its vmlinux; this may take a minute …`);
  try {
    return await read(await extract(path, file, folder), note);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** deb(5): an ar archive of debian-binary, control.tar and data.tar, the latter two packed. */
async function dataMember(path: string, file: FileHandle): Promise<Member> {
  let offset = AR_MAGIC_BYTES;
  for (let count = 0; count < MEMBERS_MAX; count++) {
    const header = await readAt(file, offset, AR_HEADER_BYTES);
    if (header.length < AR_HEADER_BYTES || header.toString('latin1', 58, 60) !== '`\n') break;
    const name = header.toString('latin1', 0, 16).trim().replace(/\/$/, '');
    const bytes = Number.parseInt(header.toString('latin1', 48, 58), 10);
    if (!Number.isSafeInteger(bytes) || bytes < 0) break;
    offset += AR_HEADER_BYTES;
    if (name.startsWith('data.tar')) return { name, offset, bytes };
    offset += bytes + (bytes % 2);
  }
  throw new CliError('KERNEL_FILE', `${path} is no Debian package: there is no data.tar in it`);
}

/**
 * The regular files of a package, in order, as it is unpacked.
 * @throws CliError KERNEL_FILE, TOOL_MISSING
 */
export async function* packageFiles(path: string, file: FileHandle): AsyncGenerator<TarEntry> {
  const data = await dataMember(path, file);
  const packed = createReadStream(path, { start: data.offset, end: data.offset + data.bytes - 1 });
  const { stream, close } = unpack(packed, data.name.slice('data.tar'.length));
  try {
    yield* tarEntries(stream);
  } finally {
    close();
  }
}

async function extract(path: string, file: FileHandle, folder: string): Promise<string> {
  for await (const entry of packageFiles(path, file)) {
    if (!VMLINUX.test(entry.name)) continue;
    const target = join(folder, vmlinuxName(entry.name));
    await pipeline(Readable.from(entry.content()), createWriteStream(target));
    return target;
  }
  throw new CliError(
    'KERNEL_FILE',
    `${path} holds no vmlinux with debug information (usr/lib/debug/boot/vmlinux-…): give the kernel's debug package, such as linux-image-…-dbg`,
  );
}

/** The file name tells the release: in lib/modules it stands in the folder's. */
function vmlinuxName(entry: string): string {
  const modules = /lib\/modules\/([^/]+)\/vmlinux$/.exec(entry)?.[1];
  return modules === undefined ? basename(entry) : `vmlinux-${modules}`;
}

function unpack(packed: Readable, suffix: string): { stream: Readable; close: () => void } {
  if (suffix === '') return { stream: packed, close: () => packed.destroy() };
  if (suffix === '.gz') {
    const stream = packed.pipe(createGunzip());
    packed.once('error', (error) => stream.destroy(error));
    return { stream, close: () => [packed, stream].forEach((one) => one.destroy()) };
  }
  return unpackWith(unpackerOf(suffix), packed);
}

function unpackWith(
  { program, from }: { program: string; from: string },
  packed: Readable,
): { stream: Readable; close: () => void } {
  const child = spawn(program, ['-dcq'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const { stdin, stdout } = child;
  child.once('error', () => {
    const other = `install ${from}, or unpack the package elsewhere (dpkg-deb -x) and give the vmlinux in it`;
    stdout.destroy(new CliError('TOOL_MISSING', `the package is packed with ${program}, which is not here: ${other}`));
  });
  // It ends as soon as the vmlinux is out; what it still wanted to say or hear is of no interest.
  stdin.on('error', () => undefined);
  packed.once('error', (error) => stdout.destroy(error));
  packed.pipe(stdin);
  const close = (): void => {
    packed.destroy();
    stdout.destroy();
    child.kill();
  };
  return { stream: stdout, close };
}
