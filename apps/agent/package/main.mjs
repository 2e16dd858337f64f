// `npm run package -- --arch x64|arm64|armv7 [--arch …] [--format deb,tar] [--out DIR]`: the agent with everything it needs on
// a device, for a server to hand out (apps/server/src/features/agent-packages). Built on any x86 host; the same
// sources give the same bytes.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { bootstrap, repositoryDir } from '../../../scripts/bootstrap.mjs';
import { buildAll } from '../../../scripts/build.mjs';
import { Refusal, runScript, say, seconds } from '../../../scripts/say.mjs';
import { tar } from './archive.mjs';
import { bundleAgent } from './bundle.mjs';
import { debianPackage } from './deb.mjs';
import { glibcNeeded, requireMachine } from './elf.mjs';
import { nodeRuntime } from './node-runtime.mjs';
import { runFlags } from './runtime-flags.mjs';
import { targets } from './targets.mjs';

const agentDir = join(repositoryDir, 'apps/agent');
const filesDir = join(agentDir, 'package/files');
const HOME = 'opt/bpfleet-agent';
const UNITS = 'usr/lib/systemd/system';
/** npm's own for what has no time: 26 October 1985. */
const NO_TIME_SECONDS = 499_162_500;

/** @typedef {import('./archive.mjs').Entry} Entry */
/** @typedef {import('./targets.mjs').Target} Target */

/**
 * @param {string} command
 * @param {string[]} args
 */
function runBuild(command, args) {
  const { status } = spawnSync(command, args, { cwd: repositoryDir, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Refusal(`${command} ${args.join(' ')} failed; see above.`);
}

/**
 * The parts that are machine code, each checked to be for this architecture.
 * @param {Target} target
 */
function programs(target) {
  const prebuild = 'libs/node-libbpf/native/prebuild.mjs';
  if (existsSync(join(repositoryDir, prebuild))) runBuild('node', [prebuild, '--arch', target.arch]);
  runBuild('node', ['apps/agent/reap/build.mjs', '--arch', target.arch]);
  const { program: node, licence } = nodeRuntime(target, join(repositoryDir, '.cache/agent-node'));
  const addon = existsSync(join(repositoryDir, prebuild))
    ? join(repositoryDir, 'libs/node-libbpf/prebuilds', target.prebuild, 'bpf.node')
    : join(repositoryDir, 'libs/node-libbpf/build/Release/bpf.node');
  const reap = join(agentDir, 'reap/build', target.prebuild, 'bpfleet-reap');
  for (const path of [node, addon, reap]) requireMachine(path, target.elfMachine);
  return { node, addon, reap, licence, glibc: glibcNeeded([node, addon, reap]) };
}

/** @param {string} name */
function template(name) {
  return Buffer.from(readFileSync(join(filesDir, name), 'utf8').replaceAll('@RUN_FLAGS@', runFlags.join(' ')));
}

/**
 * The tree of a device, each folder before what lies in it.
 * @param {ReturnType<typeof programs>} parts
 * @param {{ code: string, licences: string }} bundle
 * @param {string} version
 * @returns {Entry[]}
 */
function treeOf(parts, bundle, version) {
  /** @type {Entry[]} */
  const files = [
    { path: `${HOME}/bin/bpfleet-agent`, mode: 0o755, content: template('bpfleet-agent') },
    { path: `${HOME}/bin/bpfleet-reap`, mode: 0o755, content: readFileSync(parts.reap) },
    { path: `${HOME}/lib/agent.cjs`, content: Buffer.from(bundle.code) },
    { path: `${HOME}/lib/bpf.node`, content: readFileSync(parts.addon) },
    { path: `${HOME}/lib/mount-bpffs`, mode: 0o755, content: template('mount-bpffs') },
    { path: `${HOME}/lib/node`, mode: 0o755, content: readFileSync(parts.node) },
    { path: `${HOME}/lib/setup`, mode: 0o755, content: template('setup') },
    { path: `${HOME}/package.json`, content: Buffer.from(`${JSON.stringify({ name: 'bpfleet-agent', version })}\n`) },
    { path: `${HOME}/share/agent.conf`, content: template('agent.conf') },
    { path: `${HOME}/share/least-privilege.conf`, content: template('least-privilege.conf') },
    { path: `${HOME}/share/licences/agent.txt`, content: Buffer.from(bundle.licences) },
    { path: `${HOME}/share/licences/bpfleet.txt`, content: readFileSync(join(repositoryDir, 'LICENSE')) },
    { path: `${HOME}/share/licences/node.txt`, content: readFileSync(parts.licence) },
    { path: 'usr/bin/bpfleet-agent', linkTo: '/opt/bpfleet-agent/bin/bpfleet-agent' },
    { path: `${UNITS}/bpfleet-agent.service`, content: template('bpfleet-agent.service') },
    { path: `${UNITS}/bpfleet-reap.service`, content: template('bpfleet-reap.service') },
    { path: `${UNITS}/bpfleet-reap.timer`, content: template('bpfleet-reap.timer') },
  ];
  const folders = new Set(
    files.flatMap(({ path }) => {
      const parts = path.split('/').slice(0, -1);
      return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
    }),
  );
  return [...[...folders].sort().map((path) => ({ path })), ...files];
}

/** One time for everything: what the person says (reproducible-builds.org), else the time of the sources. */
function sourceSeconds() {
  const said = process.env.SOURCE_DATE_EPOCH;
  if (said !== undefined) {
    if (!/^\d{1,10}$/.test(said)) throw new Refusal(`SOURCE_DATE_EPOCH is no number of seconds: ${said}`);
    return Number(said);
  }
  try {
    const options = { cwd: repositoryDir, encoding: /** @type {const} */ ('utf8'), stdio: 'pipe' };
    return Number(execFileSync('git', ['log', '-1', '--format=%ct'], /** @type {any} */ (options))) || NO_TIME_SECONDS;
  } catch {
    return NO_TIME_SECONDS;
  }
}

/** @typedef {{ file: string, arch: string, format: string, version: string, glibc: string, bytes: number, installedBytes: number, sha256: string }} PackageFacts */

/**
 * @param {{ out: string, file: string, bytes: Buffer, facts: Omit<PackageFacts, 'file' | 'bytes' | 'sha256'> }} made
 * @returns {PackageFacts}
 */
function save({ out, file, bytes, facts }) {
  // Whole or not at all: a server may be handing out the one before.
  writeFileSync(join(out, `.${file}`), bytes);
  renameSync(join(out, `.${file}`), join(out, file));
  return { file, ...facts, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/**
 * @param {Target} target
 * @param {{ formats: string[], out: string, version: string }} options
 */
async function makePackages(target, { formats, out, version }) {
  const started = Date.now();
  const parts = programs(target);
  const entries = treeOf(parts, await bundleAgent({ repositoryDir }), version);
  const installedBytes = entries.reduce((sum, { content }) => sum + (content?.length ?? 0), 0);
  const time = sourceSeconds();
  const { glibc } = parts;
  return formats.map((format) => {
    const deb = format === 'deb';
    const file = deb
      ? `bpfleet-agent_${version}_${target.debian}.deb`
      : `bpfleet-agent-${version}-${target.arch}.tar.gz`;
    const bytes = deb
      ? debianPackage({ entries, target, version, glibc, seconds: time })
      : gzipSync(tar(entries, time), { level: 6 });
    const made = save({ out, file, bytes, facts: { arch: target.arch, format, version, glibc, installedBytes } });
    const mib = (/** @type {number} */ count) => `${(count / 1048576).toFixed(1)} MiB`;
    say(`${file}: ${mib(made.bytes)}, ${mib(installedBytes)} installed, glibc ${glibc}, in ${seconds(started)}`);
    return made;
  });
}

/**
 * What lies in the folder, for the server; packages of other architectures stay.
 * @param {string} out
 * @param {PackageFacts[]} made
 */
function writeIndex(out, made) {
  const path = join(out, 'index.json');
  /** @type {PackageFacts[]} */
  const before = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : [];
  const kept = before.filter((one) => !made.some(({ arch, format }) => arch === one.arch && format === one.format));
  const packages = [...kept, ...made].sort((a, b) => (a.file < b.file ? -1 : 1));
  writeFileSync(`${path}.new`, `${JSON.stringify({ packages }, null, 2)}\n`);
  renameSync(`${path}.new`, path);
  return packages;
}

/** @param {readonly string[]} given */
function list(given) {
  return given.flatMap((value) => value.split(',')).filter((value) => value !== '');
}

await runScript(async () => {
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', multiple: true, default: ['x64'] },
      format: { type: 'string', multiple: true, default: ['deb,tar'] },
      out: { type: 'string', default: join(repositoryDir, 'packages') },
    },
  });
  const archs = list(values.arch);
  const formats = list(values.format);
  const unknown = archs.find((arch) => !Object.hasOwn(targets, arch));
  if (unknown)
    throw new Refusal(`there is no architecture "${unknown}": choose from ${Object.keys(targets).join(', ')}`);
  const strange = formats.find((format) => format !== 'deb' && format !== 'tar');
  if (strange) throw new Refusal(`there is no format "${strange}": choose from deb, tar`);
  bootstrap();
  await buildAll();
  const { version } = JSON.parse(readFileSync(join(agentDir, 'package.json'), 'utf8'));
  mkdirSync(values.out, { recursive: true });
  const made = [];
  for (const arch of archs) {
    made.push(...(await makePackages(targets[arch], { formats, out: values.out, version })));
  }
  writeIndex(values.out, made);
  process.stdout.write(`${JSON.stringify({ out: values.out, packages: made })}\n`);
});
