// Builds libbpf, libelf and zlib as static, position independent archives for one toolchain, straight with its compiler: their
// own build systems would want autotools, and bring what an addon has no use for. Distributions' archives are made for
// executables (PIE), and their libelf has a thread-local in the local-exec model, which no shared object can hold.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder, ELFUTILS, fetchSources, LIBBPF, packageFolder, ZLIB } from './pinned-sources.mjs';

const nativeFolder = join(packageFolder, 'native');
const FLAGS = ['-O2', '-fPIC', '-fvisibility=hidden', '-ffunction-sections', '-fdata-sections', '-w'];
const LARGE_FILES = ['-D_FILE_OFFSET_BITS=64', '-D_LARGEFILE64_SOURCE'];
const LIBBPF_HEADERS =
  /^(bpf|libbpf|btf|libbpf_common|libbpf_legacy|libbpf_version|bpf_helpers|bpf_helper_defs|bpf_tracing|bpf_endian|bpf_core_read|usdt\.bpf)\.h$/;
const KERNEL_HEADERS = /^(bpf|bpf_common|btf)\.h$/;

/**
 * What compiles for one processor.
 * @typedef {object} Toolchain
 * @property {string} name names the cache's folder: `x64`, `arm64`, …
 * @property {readonly string[]} cc the C compiler with the flags that choose the processor and the C library
 * @property {string} ar an archiver that knows the processor
 * @property {readonly string[]} [flags] more for every file, such as a sanitizer's
 */

/**
 * @typedef {object} StaticLibraries
 * @property {string} include headers: `bpf/libbpf.h`, the `linux/bpf.h` that belongs to it, `libelf.h`, `zlib.h`
 * @property {string[]} archives libbpf.a, libelf.a and libz.a, in link order
 */

/** The compiler of this machine. @returns {Toolchain} */
export function hostToolchain() {
  return { name: process.arch, cc: [process.env['CC'] ?? 'cc'], ar: process.env['AR'] ?? 'ar' };
}

/**
 * The libraries for `toolchain`, built where the cache has none for these sources, flags and compiler. Throws when the sources
 * cannot be fetched or do not compile.
 * @param {Toolchain} toolchain
 * @param {import('./pinned-sources.mjs').SourcePin} [libbpf] another libbpf than the product's, to compare with: unpatched
 * @returns {Promise<StaticLibraries>}
 */
export async function staticLibraries(toolchain, libbpf = LIBBPF) {
  const patches = libbpf === LIBBPF ? ownPatches() : [];
  const folder = join(cacheFolder, `${toolchain.name}-${fingerprint(toolchain, libbpf, patches)}`);
  if (!existsSync(folder)) await buildInto(folder, toolchain, libbpf, patches);
  return {
    include: join(folder, 'include'),
    archives: ['libbpf.a', 'libelf.a', 'libz.a'].map((archive) => join(folder, archive)),
  };
}

/** A short name for everything that the archives depend on. */
function fingerprint({ cc: [compiler, ...rest], flags = [] }, libbpf, patches) {
  const version = execFileSync(compiler, ['--version'], { encoding: 'utf8' });
  // Where the cache lies does not matter: it may be carried from one checkout to another.
  const chosen = [...rest, ...flags].map((flag) => flag.replace(cacheFolder, ''));
  const hash = createHash('sha256').update(JSON.stringify([libbpf, ELFUTILS, ZLIB, version, chosen, FLAGS]));
  for (const file of ['static-libraries.mjs', 'elfutils/config.h', ...patches]) {
    hash.update(readFileSync(join(nativeFolder, file)));
  }
  return hash.digest('hex').slice(0, 12);
}

function ownPatches() {
  return readdirSync(join(nativeFolder, 'patches'))
    .sort()
    .map((file) => `patches/${file}`);
}

async function buildInto(folder, toolchain, libbpf, patches) {
  const started = Date.now();
  const archives = fetchSources([libbpf, ELFUTILS, ZLIB]);
  mkdirSync(cacheFolder, { recursive: true });
  // In the same file system, so that the finished folder appears at once; whoever is second throws his away.
  const work = mkdtempSync(join(cacheFolder, '.build-'));
  try {
    const [bpf, elfutils, zlib] = archives.map((archive) => unpack(archive, work));
    for (const patch of patches) {
      execFileSync('patch', ['-s', '-p1', '-d', bpf, '-i', join(nativeFolder, patch)], { stdio: 'inherit' });
    }
    const out = join(work, 'out');
    installHeaders({ bpf, elfutils, zlib }, join(out, 'include'));
    // Assertions hold file names: without this the folder's random name would be in the archives.
    const flags = [...(toolchain.flags ?? []), `-ffile-prefix-map=${work}/=`];
    await compileAll(units({ bpf, elfutils, zlib }, join(out, 'include')), out, { ...toolchain, flags });
    if (!existsSync(folder)) renameSync(out, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const what = `libbpf ${libbpf.version}, libelf ${ELFUTILS.version} and zlib ${ZLIB.version} for ${toolchain.name}`;
  process.stderr.write(`node-libbpf: built ${what} in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}

/** Returns the folder that the archive holds. */
function unpack(archive, work) {
  const into = join(work, basename(archive).replace(/_.*/, ''));
  mkdirSync(into);
  execFileSync('tar', ['-xf', archive, '-C', into]);
  return join(into, readdirSync(into)[0]);
}

function installHeaders({ bpf, elfutils, zlib }, include) {
  const copy = (from, wanted, to) => {
    for (const file of readdirSync(from)) if (wanted.test(file)) cpSync(join(from, file), join(include, to, file));
  };
  copy(join(bpf, 'src'), LIBBPF_HEADERS, 'bpf');
  copy(join(bpf, 'include/uapi/linux'), KERNEL_HEADERS, 'linux');
  copy(join(elfutils, 'libelf'), /^(libelf|gelf)\.h$/, '');
  copy(zlib, /^(zlib|zconf)\.h$/, '');
}

/** Per archive: its sources and the flags they want. */
function units({ bpf, elfutils, zlib }, include) {
  const sources = (folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.c'))
      .map((file) => join(folder, file));
  const elfHeaders = [join(nativeFolder, 'elfutils'), join(elfutils, 'libelf'), join(elfutils, 'lib')];
  return [
    {
      archive: 'libbpf.a',
      sources: sources(join(bpf, 'src')),
      flags: ['-std=gnu89', ...includes([join(bpf, 'src'), join(bpf, 'include'), join(bpf, 'include/uapi')])],
    },
    {
      archive: 'libelf.a',
      sources: [...sources(join(elfutils, 'libelf')), join(elfutils, 'lib/eu-search.c')],
      flags: ['-std=gnu99', '-D_GNU_SOURCE', '-DHAVE_CONFIG_H', ...includes(elfHeaders)],
    },
    { archive: 'libz.a', sources: sources(zlib), flags: ['-DHAVE_UNISTD_H'] },
  ].map((unit) => ({ ...unit, flags: [...unit.flags, '-I', include] }));
}

function includes(folders) {
  return folders.flatMap((folder) => ['-I', folder]);
}

async function compileAll(archives, out, toolchain) {
  const [compiler, ...chosen] = toolchain.cc;
  const jobs = archives.flatMap(({ archive, sources, flags }) =>
    sources.map((source) => {
      const object = join(out, `${archive}.objects`, `${basename(source, '.c')}.o`);
      return [...chosen, ...FLAGS, ...toolchain.flags, ...LARGE_FILES, ...flags, '-c', source, '-o', object];
    }),
  );
  for (const { archive } of archives) mkdirSync(join(out, `${archive}.objects`), { recursive: true });
  const run = promisify(execFile);
  const work = async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await run(compiler, job);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  for (const { archive } of archives) {
    const objects = join(out, `${archive}.objects`);
    // D: no dates and owners, so that the same sources give the same bytes.
    const files = readdirSync(objects).map((file) => join(objects, file));
    execFileSync(toolchain.ar, ['rcsD', join(out, archive), ...files]);
    rmSync(objects, { recursive: true });
  }
}
