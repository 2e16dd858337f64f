// What an agent takes of a device: idle, with three probes, and with 1,000 events a second, beside an empty Node process of the
// same binary without flags. It is the packaged agent that is measured, with the flags of its package. The same runs on
// a device or in a VM: tools/prepare.mjs.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryDir } from '../../../scripts/bootstrap.mjs';
import { say } from '../../../scripts/say.mjs';
import { prepareBench } from './tools/prepare.mjs';

const HERE = { x64: 'x64', arm64: 'arm64', arm: 'armv7' };

/** Debian's, unpacked and not installed; undefined where apt cannot bring it. */
function nodeExporter() {
  const folder = join(repositoryDir, '.cache/node-exporter');
  const program = join(folder, 'usr/bin/prometheus-node-exporter');
  if (existsSync(program)) return program;
  const work = mkdtempSync(join(tmpdir(), 'bpfleet-exporter-'));
  try {
    mkdirSync(folder, { recursive: true });
    // apt's sandbox user must be able to write there.
    execFileSync('apt-get', ['-q', '-oAPT::Sandbox::User=root', 'download', 'prometheus-node-exporter'], {
      cwd: work,
      stdio: ['ignore', 2, 2],
    });
    execFileSync('sh', ['-c', 'dpkg -x "$1"/*.deb "$2"', 'sh', work, folder]);
    return program;
  } catch (error) {
    say(`prometheus-node-exporter could not be had to compare with: ${error.message}`);
    return undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-agent-bench-'));
  try {
    const { script } = await prepareBench(HERE[process.arch], folder);
    const exporter = nodeExporter();
    const args = [script, '--home', join(folder, 'opt/bpfleet-agent'), ...(exporter ? ['--reference', exporter] : [])];
    // Not with the Node that is measured: pages that are in use stay in the cache.
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
