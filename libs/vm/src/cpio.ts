/** A file of an initramfs. The folders on its way need no entry of their own. */
export interface CpioFile {
  readonly path: string;
  readonly data: Uint8Array;
  /** Default 0644. */
  readonly mode?: number;
}

export interface CpioLink {
  readonly path: string;
  readonly target: string;
}

/** An empty folder, to mount on. */
export interface CpioFolder {
  readonly path: string;
  readonly folder: true;
}

export type CpioEntry = CpioFile | CpioFolder | CpioLink;

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const ALIGN_BYTES = 4;

/** One record: a header of 13 numbers as eight hex digits each, name and data each padded to 4 bytes. */
function* record(inode: number, path: string, mode: number, data: Uint8Array): Generator<Buffer> {
  const name = Buffer.from(`${path}\0`);
  const links = (mode & S_IFDIR) === S_IFDIR ? 2 : 1;
  // inode, mode, uid, gid, links, mtime, size, device (major, minor), node (major, minor), name length, checksum (unused)
  const numbers = [inode, mode, 0, 0, links, 0, data.byteLength, 0, 0, 0, 0, name.byteLength, 0];
  const header = Buffer.from(`070701${numbers.map((value) => value.toString(16).padStart(8, '0')).join('')}`);
  yield header;
  yield name;
  yield padding(header.byteLength + name.byteLength);
  yield Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  yield padding(data.byteLength);
}

function padding(bytes: number): Buffer {
  return Buffer.alloc((ALIGN_BYTES - (bytes % ALIGN_BYTES)) % ALIGN_BYTES);
}

function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

/**
 * An initramfs in the `newc` format of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst, uncompressed:
 * under emulation unpacking costs more time than reading.
 * @throws RangeError for a path that is absolute or leaves the root
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  const folders = new Set<string>();
  let inode = 1;
  for (const entry of entries) {
    if (entry.path.startsWith('/') || entry.path.split('/').some((part) => part === '' || part === '..')) {
      throw new RangeError(`an initramfs has no place for ${JSON.stringify(entry.path)}`);
    }
    for (const folder of foldersOf('folder' in entry ? `${entry.path}/.` : entry.path)) {
      if (folders.has(folder)) continue;
      folders.add(folder);
      parts.push(...record(inode++, folder, S_IFDIR | 0o755, Buffer.alloc(0)));
    }
    if ('target' in entry) parts.push(...record(inode++, entry.path, S_IFLNK | 0o777, Buffer.from(entry.target)));
    else if ('data' in entry) parts.push(...record(inode++, entry.path, S_IFREG | (entry.mode ?? 0o644), entry.data));
  }
  parts.push(...record(0, 'TRAILER!!!', 0, Buffer.alloc(0)));
  return Buffer.concat(parts);
}
