// Node for a device: the binary inside an npm package, fetched with npm from whatever registry this machine uses, held against
// a pinned digest, and without the symbols that only a debugger reads.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Refusal, say } from '../../../scripts/say.mjs';

/**
 * @param {import('./targets.mjs').Target} target
 * @param {string} cacheDir
 * @returns {{ program: string, licence: string }} paths
 */
export function nodeRuntime({ node }, cacheDir) {
  const folder = join(cacheDir, `${node.name}-${node.version}`);
  if (!existsSync(folder)) {
    mkdirSync(cacheDir, { recursive: true });
    // In the same file system, so that the folder appears whole or not at all.
    const work = mkdtempSync(join(cacheDir, '.fetch-'));
    try {
      const archive = fetchPackage(node, work);
      execFileSync('tar', ['-xzf', archive, '-C', work, 'package/bin/node', 'package/LICENSE']);
      strip(join(work, 'package/bin/node'));
      renameSync(join(work, 'package'), folder);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return { program: join(folder, 'bin/node'), licence: join(folder, 'LICENSE') };
}

/**
 * @param {import('./targets.mjs').Target['node']} node
 * @param {string} into
 */
function fetchPackage({ name, version, integrity }, into) {
  say(`fetching ${name} ${version}`);
  const args = ['pack', '--silent', '--ignore-scripts', '--pack-destination', into, `${name}@${version}`];
  const { status } = spawnSync('npm', args, { cwd: into, stdio: ['ignore', 'ignore', 2] });
  const file = readdirSync(into).find((one) => one.endsWith('.tgz'));
  if (status !== 0 || file === undefined) throw new Refusal(`npm could not fetch ${name} ${version}; see above.`);
  const archive = join(into, file);
  const digest = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (digest !== integrity) throw new Refusal(`${name} ${version} has the digest ${digest}, not ${integrity}.`);
  return archive;
}

/** @param {string} program of any architecture, which is why it is LLVM's */
function strip(program) {
  const { error, status } = spawnSync('llvm-strip', [program], { stdio: ['ignore', 'ignore', 2] });
  if (error || status !== 0) {
    throw new Refusal('llvm-strip is missing or failed; run: sudo apt-get install --no-install-recommends llvm');
  }
}
