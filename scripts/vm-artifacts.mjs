// What the VMs are made of: Debian's kernels and user land by apt, Node by npm, each pinned by digest in
// libs/vm/src/kernels.json, Node in scripts/node-runtimes.json, and kept in .cache.
//
//   node scripts/vm-artifacts.mjs fetch TARGET…     fetches what a target lacks; prints {"missing": "…"} where it cannot
//   node scripts/vm-artifacts.mjs refresh [TARGET…] accepts the versions that the mirror offers now
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { DebianPackages } from './debian-packages.mjs';
import { findProgram } from './requirements.mjs';
import { Refusal, runScript, say, seconds } from './say.mjs';

/**
 * @typedef {import('./debian-packages.mjs').PackagePin} PackagePin
 * @typedef {{ suite: string, architecture: string, accepted: PackagePin[] }} Source
 * @typedef {PackagePin & { rest?: PackagePin[] }} KernelPin
 * @typedef {Source & { metapackage: string, accepted: KernelPin[] }} Kernel
 * @typedef {{ package: string, version: string, integrity: string }} NodePin
 * @typedef {Source & { wanted: string[], node: string }} UserLand
 * @typedef {{ targets: Record<string, { kernel: string, userLand: string }>, kernels: Record<string, Kernel>,
 *   userLands: Record<string, UserLand> }} Catalogue
 */

const run = promisify(execFile);
const repositoryDir = dirname(dirname(fileURLToPath(import.meta.url)));
export const catalogueFile = join(repositoryDir, 'libs/vm/src/kernels.json');
const cacheDir = join(repositoryDir, '.cache');
const NPM_TIMEOUT_MS = 300_000;
// A mirror may go back, as bullseye's did: the versions accepted before stay good for a while.
const ACCEPTED_KERNELS_MAX = 3;

/** @returns {Catalogue} */
export function readCatalogue() {
  return JSON.parse(readFileSync(catalogueFile, 'utf8'));
}

/** @param {PackagePin} pin */
function kernelPath(pin) {
  return join(cacheDir, 'kernels', pin.sha256, 'package.deb');
}

/** @param {PackagePin} pin */
function packagePath(pin) {
  return join(cacheDir, 'vm/packages', `${pin.sha256}.deb`);
}

/**
 * @param {string} name
 * @returns {NodePin}
 */
function nodePin(name) {
  const pins = JSON.parse(readFileSync(join(repositoryDir, 'scripts/node-runtimes.json'), 'utf8'));
  return { package: name, ...pins[name] };
}

/** @param {NodePin} node */
function nodePath(node) {
  return join(cacheDir, 'vm/node', `${node.package}-${node.version}.tgz`);
}

/**
 * @param {PackagePin & { rest?: PackagePin[] }} pin
 * @returns {PackagePin[]} all the packages that make it up
 */
function wholeOf({ rest = [], ...first }) {
  return [first, ...rest];
}

/**
 * What is needed of a source: of each group one version, the newest that is accepted first. Kernels are one group, since
 * their names hold their version; a user land has a group for each package.
 * @param {Source} source
 * @returns {KernelPin[][]}
 */
function groupsOf(source) {
  if ('metapackage' in source) return [source.accepted];
  /** @type {Map<string, PackagePin[]>} */
  const groups = new Map();
  for (const pin of source.accepted) groups.set(pin.package, [...(groups.get(pin.package) ?? []), pin]);
  return [...groups.values()];
}

/**
 * @param {Source} source
 * @param {(pin: PackagePin) => string} pathOf
 * @returns {string | undefined} what is missing, in a few words
 */
function fetchPackages(source, pathOf) {
  const lacking = groupsOf(source).filter(
    (pins) => !pins.some((pin) => wholeOf(pin).every((one) => existsSync(pathOf(one)))),
  );
  if (lacking.length === 0) return undefined;
  if (!findProgram('apt-get')) return 'apt-get';
  const apt = new DebianPackages(source);
  try {
    apt.update();
    const offered = apt.offered(lacking.flat().map((pin) => pin.package));
    const chosen = lacking.map((pins) => pins.find((pin) => offered.some((one) => one.sha256 === pin.sha256)));
    const gone = lacking.filter((_, index) => chosen[index] === undefined).map((pins) => pins[0]?.package);
    if (gone.length > 0) return `${gone.join(' ')} in an accepted version: gone from mirror`;
    const pins = chosen.flatMap((pin) => (pin === undefined ? [] : wholeOf(pin)));
    for (const pin of pins) mkdirSync(dirname(pathOf(pin)), { recursive: true });
    apt.download(pins, pathOf);
    return undefined;
  } finally {
    apt.close();
  }
}

/** @param {NodePin} node */
async function fetchNode(node) {
  const target = nodePath(node);
  if (existsSync(target)) return;
  mkdirSync(dirname(target), { recursive: true });
  const work = mkdtempSync(join(dirname(target), 'npm-'));
  try {
    const name = `${node.package}@${node.version}`;
    const args = ['pack', name, '--ignore-scripts', '--loglevel=error', '--pack-destination', work];
    const { stderr } = await run('npm', args, { cwd: work, timeout: NPM_TIMEOUT_MS });
    process.stderr.write(stderr);
    const file = join(work, readdirSync(work).find((entry) => entry.endsWith('.tgz')) ?? '');
    const integrity = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
    if (integrity !== node.integrity) throw new Refusal(`${name} from npm is not what is pinned: ${integrity}`);
    renameSync(file, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Fetches what the targets lack.
 * @param {readonly string[]} targets
 * @returns {Promise<string | undefined>} what cannot be had, in a few words
 */
export async function fetchArtifacts(targets) {
  const catalogue = readCatalogue();
  for (const name of targets) {
    const target = catalogue.targets[name];
    if (!target) throw new Refusal(`no VM target ${name}; there are ${Object.keys(catalogue.targets).join(', ')}`);
    const kernel = catalogue.kernels[target.kernel];
    const userLand = catalogue.userLands[target.userLand];
    const started = Date.now();
    /** @type {[string, () => Promise<string | void>][]} */
    const parts = [
      [`kernel ${target.kernel}`, async () => fetchPackages(kernel, kernelPath)],
      [`${target.userLand} user land`, async () => fetchPackages(userLand, packagePath)],
      [`Node for ${target.userLand}`, () => fetchNode(nodePin(userLand.node))],
    ];
    for (const [what, get] of parts) {
      const missing = await get().catch(reasonOf);
      if (missing !== undefined) return `${what} (${missing})`;
    }
    if (Date.now() - started > 1_000) say(`fetched what ${name} is made of in ${seconds(started)}`);
  }
  return undefined;
}

/**
 * In words that fit the title of a skipped test; apt and npm have told the rest on standard error.
 * @param {unknown} error
 */
function reasonOf(error) {
  if (error instanceof Refusal) return error.message;
  const { status, code } = /** @type {{ status?: number, code?: number | string }} */ (error);
  if (status === undefined && code === undefined) throw error;
  return 'the package registry gave an error, or no answer';
}

/**
 * Accepts what the mirror offers now, beside what was accepted before.
 * @param {readonly string[]} targets none: all
 */
export function refreshPins(targets) {
  const catalogue = readCatalogue();
  const chosen = targets.length > 0 ? targets : Object.keys(catalogue.targets);
  for (const name of new Set(chosen.map((target) => catalogue.targets[target]?.kernel))) {
    const kernel = catalogue.kernels[name ?? ''];
    if (!kernel) throw new Refusal(`no such VM target; there are ${Object.keys(catalogue.targets).join(', ')}`);
    const newest = withApt(kernel, (apt) => apt.behind(kernel.metapackage));
    kernel.accepted = addFirst(kernel.accepted, [newest]).slice(0, ACCEPTED_KERNELS_MAX);
    say(`${name}: ${newest.package} ${newest.version}`);
  }
  for (const name of new Set(chosen.map((target) => catalogue.targets[target]?.userLand))) {
    const userLand = catalogue.userLands[name ?? ''];
    const resolved = withApt(userLand, (apt) => apt.resolve(userLand.wanted));
    // What is no longer wanted is no longer fetched; of what is, one older version stays accepted.
    const names = new Set(resolved.map((pin) => pin.package));
    const older = userLand.accepted.filter((pin) => names.has(pin.package));
    userLand.accepted = addFirst(older, resolved).filter(
      (pin, index, all) => all.slice(0, index).filter((one) => one.package === pin.package).length < 2,
    );
    say(`${name}: ${resolved.length} packages`);
  }
  writeFileSync(catalogueFile, `${JSON.stringify(catalogue, null, 2)}\n`);
}

/**
 * @template T
 * @param {Source} source
 * @param {(apt: DebianPackages) => T} ask
 */
function withApt(source, ask) {
  const apt = new DebianPackages(source);
  try {
    apt.update();
    return ask(apt);
  } finally {
    apt.close();
  }
}

/**
 * @param {readonly PackagePin[]} before
 * @param {readonly PackagePin[]} now
 */
function addFirst(before, now) {
  return [...now, ...before.filter((pin) => !now.some((one) => one.sha256 === pin.sha256))];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await runScript(async () => {
    const [verb, ...targets] = process.argv.slice(2);
    if (verb === 'fetch') process.stdout.write(`${JSON.stringify({ missing: await fetchArtifacts(targets) })}\n`);
    else if (verb === 'refresh') refreshPins(targets);
    else throw new Refusal('usage: node scripts/vm-artifacts.mjs fetch TARGET… | refresh [TARGET…]');
  });
}
