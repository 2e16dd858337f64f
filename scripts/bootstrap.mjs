// Makes a fresh machine ready to build: checks Node and the system, installs Debian packages where it may, and the npm
// packages of the lock file. It imports nothing but Node, because at its first run there is nothing else.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { findProgram, missingRequirements } from './requirements.mjs';
import { Refusal, runScript, say, seconds } from './say.mjs';

export const repositoryDir = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE_MINIMUM = [20, 19];

function checkPlatform() {
  if (process.platform !== 'linux') throw new Refusal(`bpfleet needs Linux; this is ${process.platform}.`);
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = NODE_MINIMUM;
  if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
    throw new Refusal(`bpfleet needs Node ${NODE_MINIMUM.join('.')} or newer; this is ${process.versions.node}.`);
  }
}

/** How packages are installed from here, or undefined when that takes a person. */
function installerPrefix() {
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

/**
 * @param {string[]} prefix
 * @param {string[]} args
 */
function apt(prefix, args) {
  const command = [
    ...prefix,
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    '-q',
    '-o',
    'DPkg::Lock::Timeout=300',
  ];
  const [program = '', ...rest] = [...command, ...args];
  // Its output is progress, so it goes where progress goes.
  return spawnSync(program, rest, { stdio: ['ignore', 2, 2] }).status === 0;
}

/**
 * @param {string[]} prefix
 * @param {string[]} names
 */
function installWithApt(prefix, names) {
  const started = Date.now();
  say(`installing ${names.join(' ')}`);
  const install = ['install', '-y', '--no-install-recommends', ...names];
  // The package lists of a fresh container are empty, those of an old machine stale: both show as a failed install.
  if (apt(prefix, install) || (apt(prefix, ['update']) && apt(prefix, install)))
    say(`installed in ${seconds(started)}`);
}

/** @param {{ tests: boolean, vms: boolean }} options */
function installPackages(options) {
  const prefix = existsSync('/usr/bin/apt-get') ? installerPrefix() : undefined;
  // Apart, because apt installs all or nothing: a distribution without one test's program must not lose the compiler.
  for (const extra of options.tests || options.vms ? [false, true] : [false]) {
    const missing = () => missingRequirements(options).filter((one) => (one.for !== undefined) === extra);
    if (prefix && missing().length > 0)
      installWithApt(
        prefix,
        missing().map((one) => one.package),
      );
    const names = missing().map((one) => one.package);
    if (names.length === 0) continue;
    const byHand = `sudo apt-get install --no-install-recommends ${names.join(' ')}`;
    if (extra && options.tests) say(`tests that need ${names.join(', ')} will be skipped; to run them: ${byHand}`);
    else
      throw new Refusal(`some programs or libraries are missing and could not be installed from here; run: ${byHand}`);
  }
}

/**
 * Whether node_modules holds what the lock file says. npm keeps a record of what it installed; comparing the two takes
 * milliseconds and is right even when somebody else ran npm in between.
 */
function hasNpmPackages() {
  const record = join(repositoryDir, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync(join(repositoryDir, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.includes('node_modules/')) return true;
    const found = installed[path];
    // Optional packages for another processor or system are in the lock file but not on the disk.
    if (!found) return entry.optional === true || entry.devOptional === true || entry.peer === true;
    return entry.link ? found.link === true : found.version === entry.version;
  });
}

function installNpmPackages() {
  if (hasNpmPackages()) return;
  const started = Date.now();
  say('installing npm packages (npm ci)');
  // No package's install script runs: what they would do (fetch engines, make links) is done here, visibly, or not needed.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', args, { cwd: repositoryDir, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Refusal('npm ci failed; see above.');
  say(`npm packages installed in ${seconds(started)}`);
}

const REFERENCE_TIMEOUT_MS = 240_000;

/**
 * A newer libbpf than the distribution's, for the one test that compares our CO-RE resolution with it. Where it cannot be had
 * (no apt, no network) that test is skipped, and says what it needs.
 */
function buildReferenceLibbpf() {
  if (!findProgram('apt-get')) return;
  const script = join(repositoryDir, 'libs/btf/scripts/fetch-libbpf.mjs');
  const { status } = spawnSync(process.execPath, [script], { stdio: ['ignore', 2, 2], timeout: REFERENCE_TIMEOUT_MS });
  if (status !== 0) say('the libbpf to compare with could not be fetched; the comparison will be skipped');
}

/** @param {{ tests?: boolean, vms?: boolean }} [options] `tests`: also what only tests need; `vms`: also what boots VMs. */
export function bootstrap({ tests = false, vms = false } = {}) {
  checkPlatform();
  installPackages({ tests, vms });
  installNpmPackages();
  if (tests) buildReferenceLibbpf();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await runScript(() => bootstrap({ tests: process.argv.includes('--tests') }));
}
