// The addon, libbpf, libelf and zlib with AddressSanitizer and UndefinedBehaviorSanitizer, and with a kernel that is played.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder, packageFolder, sourcesAreWithinReach } from '../native/pinned-sources.mjs';
import { hostToolchain, staticLibraries } from '../native/static-libraries.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const headers = join(dirname(dirname(process.execPath)), 'include/node');
const SANITIZE = ['-g1', '-O1', '-fno-omit-frame-pointer', '-fsanitize=address,undefined'];
// Of libbpf and libelf. Both read structures at any address on purpose, as every processor of ours allows.
const SANITIZE_LIBRARIES = [...SANITIZE, '-fno-sanitize=alignment'];
const WRAPPED = ['ioctl', 'syscall', 'fopen64'];

/** The sanitizer's runtime that belongs to the compiler, or undefined: it echoes the name of what it cannot find. */
export function sanitizerRuntimes() {
  const find = (name) => execFileSync('c++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
  const found = ['libasan.so', 'libubsan.so'].map(find);
  return found.every((path) => path.startsWith('/')) ? found : undefined;
}

/** What a machine lacks for the fuzz run, by name; empty when it can run. */
export function missingForFuzz() {
  const missing = [];
  const has = (command) => {
    try {
      return execFileSync('sh', ['-c', `PATH="$PATH:/usr/sbin" command -v ${command}`]).length > 0;
    } catch {
      return false;
    }
  };
  for (const command of ['clang', 'c++', 'bpftool']) if (!has(command)) missing.push(command);
  if (has('c++') && sanitizerRuntimes() === undefined) missing.push('libasan and libubsan');
  if (!existsSync(join(headers, 'node_api.h'))) missing.push(`Node's headers`);
  if (!sourcesAreWithinReach()) missing.push('the pinned sources of libbpf');
  if (!existsSync('/sys/kernel/btf/vmlinux')) missing.push('kernel BTF');
  return missing;
}

const isNewer = (input, output) =>
  statSync(input).mtimeMs > (statSync(output, { throwIfNoEntry: false })?.mtimeMs ?? 0);

/** As binding.gyp defines them for the product. */
function defined() {
  return JSON.parse(readFileSync(join(packageFolder, 'binding.gyp'), 'utf8')).targets[0].defines;
}

async function compile(sources, folder, include) {
  const napi = dirname(createRequire(join(packageFolder, 'package.json')).resolve('node-addon-api/package.json'));
  const defines = [...defined(), 'NODE_GYP_MODULE_NAME=bpf', 'BUILDING_NODE_EXTENSION'];
  const flags = [
    ...SANITIZE,
    '-fPIC',
    '-std=c++17',
    '-w',
    '-fvisibility=hidden',
    ...defines.map((define) => `-D${define}`),
  ];
  const includes = [include, headers, napi].flatMap((path) => ['-I', path]);
  const shared = readdirSync(join(packageFolder, 'native')).filter((file) => file.endsWith('.h'));
  const inputs = [...shared.map((file) => join(packageFolder, 'native', file)), join(packageFolder, 'binding.gyp')];
  const jobs = sources.map((source) => ({ source, object: join(folder, `${source.split('/').at(-1)}.o`) }));
  const stale = jobs.filter(({ source, object }) => [source, ...inputs].some((input) => isNewer(input, object)));
  const run = promisify(execFile);
  const work = async () => {
    for (let job = stale.shift(); job !== undefined; job = stale.shift()) {
      await run('c++', [...flags, ...includes, '-c', job.source, '-o', job.object]);
    }
  };
  await Promise.all([work(), work()]);
  return jobs.map(({ object }) => object);
}

/**
 * Builds what is out of date and returns the folders of the run: `addon` has the package's dist/ with the sanitized addon where
 * dist/ looks for it, `corpus` and `findings` are there to be filled. Throws what the compiler says.
 */
export async function buildSanitized() {
  const { name, ...toolchain } = hostToolchain();
  const libraries = await staticLibraries({ ...toolchain, name: `${name}-sanitized`, flags: SANITIZE_LIBRARIES });
  const root = join(cacheFolder, '../fuzz');
  const objects = join(root, 'objects');
  const release = join(root, 'addon/build/Release');
  for (const folder of [objects, release, join(root, 'corpus'), join(root, 'findings')])
    mkdirSync(folder, { recursive: true });
  const sources = [join(packageFolder, 'native'), here].flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.cc'))
      .map((file) => join(folder, file)),
  );
  const compiled = await compile(sources, objects, libraries.include);
  const addon = join(release, 'bpf.node');
  const inputs = [...compiled, ...libraries.archives];
  if (inputs.some((input) => isNewer(input, addon))) {
    const wraps = WRAPPED.map((symbol) => `-Wl,--wrap=${symbol}`);
    execFileSync('c++', [
      '-shared',
      '-fsanitize=address,undefined',
      '-o',
      addon,
      ...inputs,
      ...wraps,
      '-Wl,--exclude-libs,ALL',
    ]);
  }
  const dist = join(root, 'addon/dist');
  rmSync(dist, { recursive: true, force: true });
  cpSync(join(packageFolder, 'dist'), dist, { recursive: true });
  writeFileSync(join(root, 'addon/package.json'), '{ "type": "module" }\n');
  return { addon: join(root, 'addon'), corpus: join(root, 'corpus'), findings: join(root, 'findings') };
}
