// Everything of a device's file system that is the agent's, for packages and for whoever measures what is packaged.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryDir } from '../../../scripts/bootstrap.mjs';
import { Refusal } from '../../../scripts/say.mjs';
import { bundleAgent } from './bundle.mjs';
import { glibcNeeded, requireMachine } from './elf.mjs';
import { nodeRuntime } from './node-runtime.mjs';
import { runFlags } from './runtime-flags.mjs';

const agentDir = join(repositoryDir, 'apps/agent');
const filesDir = join(agentDir, 'package/files');
const HOME = 'opt/bpfleet-agent';
const UNITS = 'usr/lib/systemd/system';

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
function programsOf(target) {
  runBuild('node', ['libs/node-libbpf/native/prebuild.mjs', '--arch', target.arch]);
  runBuild('node', ['apps/agent/reap/build.mjs', '--arch', target.arch]);
  const { program: node, licence } = nodeRuntime(target, join(repositoryDir, '.cache/agent-node'));
  const addon = join(repositoryDir, 'libs/node-libbpf/prebuilds', target.prebuild, 'bpf.node');
  const reap = join(agentDir, 'reap/build', target.prebuild, 'bpfleet-reap');
  for (const path of [node, addon, reap]) requireMachine(path, target.elfMachine);
  return { node, addon, reap, licence, glibc: glibcNeeded([node, addon, reap]) };
}

/** @param {string} name */
function template(name) {
  return Buffer.from(readFileSync(join(filesDir, name), 'utf8').replaceAll('@RUN_FLAGS@', runFlags.join(' ')));
}

/**
 * What lies on a device, each folder before what lies in it, and the oldest glibc on which it all runs. Builds what is missing.
 * @param {Target} target
 * @returns {Promise<{ entries: Entry[], glibc: string, version: string }>}
 */
export async function deviceTree(target) {
  const parts = programsOf(target);
  const bundle = await bundleAgent({ repositoryDir });
  const { version } = JSON.parse(readFileSync(join(agentDir, 'package.json'), 'utf8'));
  return { entries: treeOf(parts, bundle, version), glibc: parts.glibc, version };
}

/**
 * @param {ReturnType<typeof programsOf>} parts
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
    { path: `${UNITS}/bpfleet-bpffs.service`, content: template('bpfleet-bpffs.service') },
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
