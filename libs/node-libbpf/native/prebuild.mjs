// Builds the addon for devices: prebuilds/linux-<x64|arm64|arm>/bpf.node, on a machine of any of these processors.
//
//   node native/prebuild.mjs [--arch x64|arm64|armv7]…     all three when none is named
//
// Needs clang, lld, llvm, binutils, apt, and what fetches the sources (bzip2, patch). Does nothing when nothing changed. Sources,
// definitions and flags are those of binding.gyp; N-API is the same for every processor, so Node's headers are this Node's.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { crossToolchain, TARGETS } from './cross-toolchain.mjs';
import { requireSoundAddon } from './elf-checks.mjs';
import { packageFolder } from './pinned-sources.mjs';
import { staticLibraries } from './static-libraries.mjs';

/** Node 18 to 22 ask for the same: whatever runs Node runs the addon. */
const GLIBC_FLOOR = '2.28';
const FLAGS = [
  ...['-O2', '-fPIC', '-pthread', '-ffunction-sections', '-fdata-sections', '-fstack-protector-strong'],
  `-ffile-prefix-map=${packageFolder}/=`,
  ...['-D_FILE_OFFSET_BITS=64', '-D_LARGEFILE_SOURCE', '-DBUILDING_NODE_EXTENSION', '-DNODE_GYP_MODULE_NAME=bpf'],
];
const LINK_FLAGS = ['-shared', '-pthread', '-s', '-Wl,-z,relro,-z,noexecstack'];

const run = promisify(execFile);

try {
  const { values } = parseArgs({ options: { arch: { type: 'string', multiple: true } } });
  const wanted = values.arch ?? Object.keys(TARGETS);
  for (const arch of wanted) {
    if (!Object.hasOwn(TARGETS, arch)) {
      throw new Error(`no such architecture: ${arch}; there are ${Object.keys(TARGETS).join(', ')}`);
    }
  }
  for (const arch of wanted) await prebuild(arch);
} catch (error) {
  console.error(`node-libbpf: ${error.message}`);
  process.exit(1);
}

async function prebuild(arch) {
  const started = Date.now();
  const target = TARGETS[arch];
  const toolchain = crossToolchain(arch);
  const libraries = await staticLibraries(toolchain);
  const recipe = readRecipe(libraries);
  const folder = join(packageFolder, 'prebuilds', target.folder);
  const addon = join(folder, 'bpf.node');
  const record = join(folder, 'inputs.sha256');
  const inputs = fingerprint(toolchain, recipe);
  const promise = { machine: target.machine, glibc: GLIBC_FLOOR };
  if (existsSync(addon) && existsSync(record) && readFileSync(record, 'utf8') === inputs) {
    report(arch, addon, requireSoundAddon(addon, promise), 'is as it was');
    return;
  }
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, '.build-'));
  try {
    const made = await build(toolchain, recipe, work);
    const facts = requireSoundAddon(made, promise);
    rmSync(record, { force: true });
    renameSync(made, addon);
    writeFileSync(record, inputs);
    report(arch, addon, facts, `built in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function report(arch, addon, facts, how) {
  const place = addon.slice(packageFolder.length + 1);
  console.log(`${place}: ${how}; ${arch}, glibc ${facts.glibc} or newer, needs ${facts.needed.join(' ')}`);
}

/** What binding.gyp says, with its variables put in. It must stay plain JSON. */
function readRecipe(libraries) {
  const [target] = JSON.parse(readFileSync(join(packageFolder, 'binding.gyp'), 'utf8')).targets;
  const require = createRequire(join(packageFolder, 'package.json'));
  const includes = [libraries.include, dirname(require.resolve('node-addon-api')), nodeHeaders()];
  return {
    sources: target.sources,
    compile: [
      ...FLAGS,
      ...target.defines.map((define) => `-D${define}`),
      ...target.cflags_cc,
      ...includes.flatMap((folder) => ['-isystem', folder]),
    ],
    link: [
      ...libraries.archives,
      ...target.ldflags.map((flag) => flag.replace('<(module_root_dir)', packageFolder)),
      ...LINK_FLAGS,
    ],
  };
}

function nodeHeaders() {
  const places = [
    process.env['npm_config_nodedir'] && join(process.env['npm_config_nodedir'], 'include/node'),
    join(dirname(dirname(process.execPath)), 'include/node'),
  ];
  const found = places.find((place) => place && existsSync(join(place, 'node_api.h')));
  if (found !== undefined) return found;
  throw new Error(`${places.at(-1)} has no node_api.h: set npm_config_nodedir to a folder of Node with its include`);
}

function fingerprint(toolchain, recipe) {
  const hash = createHash('sha256').update(JSON.stringify([toolchain.cxx, recipe, process.version]));
  const folder = join(packageFolder, 'native');
  for (const file of readdirSync(folder).sort()) {
    if (/\.(cc|h|map)$/.test(file)) hash.update(`${file}\0`).update(readFileSync(join(folder, file)));
  }
  return hash.digest('hex');
}

async function build(toolchain, { sources, compile, link }, work) {
  const [compiler, ...chosen] = toolchain.cxx;
  const objects = sources.map((source) => join(work, `${basename(source, '.cc')}.o`));
  const jobs = sources.map((source, index) => ['-c', join(packageFolder, source), '-o', objects[index]]);
  const worker = async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      await run(compiler, [...chosen, ...compile, ...job]);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  const addon = join(work, 'bpf.node');
  await run(compiler, [...chosen, ...toolchain.link, ...objects, ...link, '-o', addon]);
  return addon;
}
