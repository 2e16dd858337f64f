import { execFile } from 'node:child_process';
import { access, realpath } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { findTool, sharedLibraries } from '../jail/host-tools.js';
import type { Bind } from '../jail/host-tools.js';
import { JailError } from '../jail/error.js';

const run = promisify(execFile);
const PROBE_TIMEOUT_MS = 60_000;

/** The host's clang and all that it opens to compile. */
export interface Compiler {
  /** As in "Debian clang version 14.0.6". */
  version: string;
  clang: string;
  /** llvm-strip of the same LLVM: the DWARF beside BTF is nine tenths of an object. */
  strip: string | undefined;
  resourceDir: string;
  binds: Bind[];
  libraryFolders: string[];
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** libbpf's headers for programs (`<bpf/bpf_helpers.h>`). */
const LIBBPF_HEADERS = '/usr/include/bpf';

/** Finds clang, its libraries and headers. Throws JailError naming the package that is missing. */
export async function findCompiler(clangPath?: string): Promise<Compiler> {
  const clang = await realpath(clangPath ?? (await findTool('clang', 'clang')));
  if (!(await isThere(`${LIBBPF_HEADERS}/bpf_helpers.h`))) {
    throw new JailError('the headers of libbpf are not installed: apt-get install libbpf-dev', 'libbpf-dev');
  }
  const ask = async (option: string) => (await run(clang, [option], { timeout: PROBE_TIMEOUT_MS, env: {} })).stdout;
  const resourceDir = (await ask('-print-resource-dir')).trim();
  const version = (await ask('--version')).split('\n')[0]?.trim() ?? '';
  const stripPath = path.join(path.dirname(clang), 'llvm-strip');
  const strip = (await isThere(stripPath)) ? stripPath : undefined;

  const libraries = await sharedLibraries(clang);
  if (strip) libraries.push(...(await sharedLibraries(strip)));
  const binds = [
    { host: clang, jail: clang },
    ...(strip ? [{ host: await realpath(strip), jail: strip }] : []),
    ...libraries,
    { host: path.join(resourceDir, 'include'), jail: path.join(resourceDir, 'include') },
    { host: LIBBPF_HEADERS, jail: LIBBPF_HEADERS },
  ];
  const libraryFolders = [...new Set(libraries.map((library) => path.dirname(library.jail)))];
  return { version, clang, strip, resourceDir, binds, libraryFolders };
}
