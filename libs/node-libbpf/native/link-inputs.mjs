// Says to binding.gyp what the addon is compiled and linked with: the pinned libraries, or an installed libbpf where somebody
// chose one (LIBBPF_DIR) or where there is no way to the pinned sources.
//
//   node native/link-inputs.mjs include|libraries
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sourcesAreWithinReach } from './pinned-sources.mjs';
import { hostToolchain, staticLibraries } from './static-libraries.mjs';

const LIBBPF_MINIMUM = [1, 5];

/**
 * Throws an Error of one sentence where there is nothing to link with.
 * @returns {Promise<import('./static-libraries.mjs').StaticLibraries>}
 */
export async function linkInputs() {
  const chosen = process.env['LIBBPF_DIR'] && resolve(process.env['LIBBPF_DIR']);
  if (chosen) return installedIn(chosen, join(chosen, 'include'), ['lib', 'lib64', '.']);
  if (sourcesAreWithinReach()) return await staticLibraries(hostToolchain());
  const include = askPkgConfig('includedir');
  const libraries = askPkgConfig('libdir');
  if (include === undefined || libraries === undefined) {
    throw new Error(
      `no apt to fetch the pinned libbpf with, and pkg-config knows no libbpf: install libbpf ${LIBBPF_MINIMUM.join('.')} or newer with its static library, or set LIBBPF_DIR to a folder with its include and lib`,
    );
  }
  return installedIn(libraries, include, ['.']);
}

/** libelf and zlib may lie beside libbpf or where the compiler finds them. */
function installedIn(folder, include, places) {
  requireVersion(include);
  const archives = ['libbpf.a', 'libelf.a', 'libz.a'].map((archive) => {
    const beside = places.map((place) => join(folder, place, archive)).find((path) => existsSync(path));
    const found = beside ?? (archive === 'libbpf.a' ? undefined : askCompiler(archive));
    if (found === undefined) throw new Error(`no static ${archive} in ${folder}: it must be there, built with -fPIC`);
    return found;
  });
  // libelf may have been built with zstd; where it was not, the linker takes nothing from this archive.
  const zstd = askCompiler('libzstd.a');
  return { include, archives: [...archives, ...(zstd === undefined ? [] : [zstd])] };
}

function requireVersion(include) {
  const header = join(include, 'bpf/libbpf_version.h');
  const text = existsSync(header) ? readFileSync(header, 'utf8') : '';
  const [major, minor] = ['MAJOR', 'MINOR'].map((part) => Number(new RegExp(`${part}_VERSION (\\d+)`).exec(text)?.[1]));
  const [wantedMajor, wantedMinor] = LIBBPF_MINIMUM;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  const found = Number.isNaN(major) ? 'no libbpf' : `libbpf ${major}.${minor}`;
  throw new Error(`${include} has ${found}; ${LIBBPF_MINIMUM.join('.')} or newer is needed (LIBBPF_DIR names another)`);
}

function askPkgConfig(variable) {
  try {
    return execFileSync('pkg-config', [`--variable=${variable}`, 'libbpf'], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return undefined;
  }
}

/** The compiler echoes the name of an archive that it cannot find. */
function askCompiler(archive) {
  const [compiler] = hostToolchain().cc;
  const path = execFileSync(compiler, [`-print-file-name=${archive}`], { encoding: 'utf8' }).trim();
  return isAbsolute(path) ? path : undefined;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { include, archives } = await linkInputs();
  console.log(process.argv[2] === 'include' ? include : archives.join('\n'));
}
