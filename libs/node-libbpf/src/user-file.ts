import { accessSync, constants } from 'node:fs';

/** What a uprobe or a USDT is to be attached to, as a section of an object or a caller names it. */
export interface UserTarget {
  /** As it was given: a path, or the bare name of a program or library. */
  readonly path: string;
  /** A function by its name. */
  readonly function?: string;
  /** Without a function: an offset in the file. */
  readonly offset?: bigint;
  readonly usdt?: { readonly provider: string; readonly name: string };
}

/** Where libbpf looks for a library whose path has no slash: the linker's folder of the processor that this process is built for. */
const libraryFolder: Partial<Record<NodeJS.Architecture, string>> = {
  x64: '/lib/x86_64-linux-gnu',
  arm64: '/lib/aarch64-linux-gnu',
  arm: '/lib/arm-linux-gnueabihf',
};

/**
 * The file that libbpf takes for a path, found in the order in which resolve_full_path() of libbpf 1.7 looks; undefined where it
 * finds none, or the path leads into an archive. A path with a slash is taken as it is.
 */
export function userFile(path: string): string | undefined {
  if (path.includes('!/')) return undefined;
  if (path.includes('/')) return path;
  const isLibrary = path.endsWith('.so') || path.includes('.so.');
  const folders = isLibrary
    ? [process.env['LD_LIBRARY_PATH'], '/usr/lib64', '/usr/lib', libraryFolder[process.arch]]
    : [process.env['PATH'], '/usr/bin', '/usr/sbin'];
  const mode = isLibrary ? constants.R_OK : constants.R_OK | constants.X_OK;
  return folders
    .flatMap((list) => (list ?? '').split(':'))
    .filter((folder) => folder !== '')
    .map((folder) => `${folder}/${path}`)
    .find((file) => isAccessible(file, mode));
}

function isAccessible(file: string, mode: number): boolean {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}

/** What `attach()` makes of a section; undefined for one that names no file, with which libbpf deals by itself. */
export function sectionTarget(section: string): UserTarget | undefined {
  const usdt = /^usdt(?:\.s)?\/([^:]+):([^:]+):([^:]+)/.exec(section);
  if (usdt) {
    const [, path = '', provider = '', name = ''] = usdt;
    return { path, usdt: { provider, name } };
  }
  const [, isMulti, path = '', place = ''] = /^u(?:ret)?probe(\.multi)?(?:\.s)?\/([^:]+):(.+)$/.exec(section) ?? [];
  if (path === '') return undefined;
  // A pattern over functions: kernels of 32-bit ARM have no such links.
  if (isMulti !== undefined) return { path };
  return { path, function: place.replace(/\+(0x[\da-f]+|\d+)$/i, '') };
}
