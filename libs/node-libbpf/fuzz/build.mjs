// The addon, libbpf, libelf and zlib with AddressSanitizer and UndefinedBehaviorSanitizer, and with a kernel that is played.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder, packageFolder } from '../native/pinned-sources.mjs';
import { hostToolchain, staticLibraries } from '../native/static-libraries.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const headers = join(dirname(dirname(process.execPath)), 'include/node');
const SANITIZE = ['-g1', '-O1', '-fno-omit-frame-pointer', '-fsanitize=address,undefined'];
// Of libbpf and libelf. Both read structures at any address, as every processor of ours allows, and copy nothing from NULL.
const SANITIZE_LIBRARIES = [...SANITIZE, '-fno-sanitize=alignment,nonnull-attribute'];
const WRAPPED = ['ioctl', 'syscall', 'fopen64'];

/** The sanitizers' runtimes that belong to the compiler. */
export function sanitizerRuntimes() {
  const find = (name) => execFileSync('c++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
  return ['libasan.so', 'libubsan.so'].map(find);
}

const isNewer = (input, output) =>
  statSync(input).mtimeMs > (statSync(output, { throwIfNoEntry: false })?.mtimeMs ?? 0);

/** As binding.gyp defines them for the product. */
function defined() {
  return JSON.parse(readFileSync(join(packageFolder, 'binding.gyp'), 'utf8')).targets[0].defines;
}

/** Appears at once and whole, also when two runs build at the same time. */
async function made(output, command, args) {
  const unfinished = `${output}.${process.pid}`;
  await promisify(execFile)(command, [...args, '-o', unfinished]);
  renameSync(unfinished, output);
}

async function compile(sources, folder, include) {
  const napi = dirname(createRequire(join(packageFolder, 'package.json')).resolve('node-addon-api/package.json'));
  const defines = [...defined(), 'NODE_GYP_MODULE_NAME=bpf', 'BUILDING_NODE_EXTENSION'];
  const chosen = ['-fPIC', '-std=c++17', '-w', '-fvisibility=hidden', ...defines.map((define) => `-D${define}`)];
  const includes = [include, headers, napi].flatMap((path) => ['-I', path]);
  const shared = readdirSync(join(packageFolder, 'native')).filter((file) => file.endsWith('.h'));
  const inputs = [
    join(packageFolder, 'binding.gyp'),
    join(include, 'bpf/libbpf.h'),
    ...shared.map((file) => join(packageFolder, 'native', file)),
  ];
  const jobs = sources.map((source) => ({ source, object: join(folder, `${basename(source)}.o`) }));
  const stale = jobs.filter(({ source, object }) => [source, ...inputs].some((input) => isNewer(input, object)));
  const work = async () => {
    for (let job = stale.shift(); job !== undefined; job = stale.shift()) {
      await made(job.object, 'c++', [...SANITIZE, ...chosen, ...includes, '-c', job.source]);
    }
  };
  await Promise.all([work(), work()]);
  return jobs.map(({ object }) => object);
}

function sources() {
  const inFolder = (folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.cc'))
      .map((file) => join(folder, file));
  return [join(packageFolder, 'native'), here].flatMap(inFolder);
}

/**
 * Builds what is out of date and returns the folders of this run: `addon`, which goes with the process, has the package's dist/
 * and the sanitized addon where dist/ looks for it, `corpus` and `findings` are there to be filled. Throws what the compiler says.
 */
export async function buildSanitized() {
  const { name, ...toolchain } = hostToolchain();
  const libraries = await staticLibraries({ ...toolchain, name: `${name}-sanitized`, flags: SANITIZE_LIBRARIES });
  const root = join(cacheFolder, '../fuzz');
  const folders = {
    addon: join(root, `run-${process.pid}`),
    corpus: join(root, 'corpus'),
    findings: join(root, 'findings'),
  };
  for (const folder of [join(root, 'objects'), ...Object.values(folders)]) mkdirSync(folder, { recursive: true });
  const inputs = [...(await compile(sources(), join(root, 'objects'), libraries.include)), ...libraries.archives];
  const linked = join(root, 'bpf.node');
  if (inputs.some((input) => isNewer(input, linked))) {
    const wraps = WRAPPED.map((symbol) => `-Wl,--wrap=${symbol}`);
    await made(linked, 'c++', [
      '-shared',
      '-fsanitize=address,undefined',
      ...inputs,
      ...wraps,
      '-Wl,--exclude-libs,ALL',
    ]);
  }
  process.on('exit', () => rmSync(folders.addon, { recursive: true, force: true }));
  mkdirSync(join(folders.addon, 'build/Release'), { recursive: true });
  cpSync(linked, join(folders.addon, 'build/Release/bpf.node'));
  cpSync(join(packageFolder, 'dist'), join(folders.addon, 'dist'), { recursive: true });
  writeFileSync(join(folders.addon, 'package.json'), '{ "type": "module" }\n');
  return folders;
}
