// `agent` on another machine: the arm64 package in a VM (libs/vm) with Debian's own kernel, under emulation. What it says of memory
// is what such a device would say; its CPU figures are those of an emulated processor, to be compared with each other only.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_IO_URING, startVm } from '@bpfleet/vm';
import { fetchPinned } from '../../../libs/node-libbpf/native/debian-apt.mjs';
import { repositoryDir } from '../../../scripts/bootstrap.mjs';
import { say } from '../../../scripts/say.mjs';
import { prepareBench } from './tools/prepare.mjs';

const TARGET = 'arm64-6.1';
const SUITE = 'bookworm';
const EXPORTER = {
  name: 'prometheus-node-exporter',
  file: 'prometheus-node-exporter_1.5.0-1+b6_arm64.deb',
  sha256: '5bce206c63dd60ac89662ba61aef53595ba27ee65b64da2d64609931b9c5794e',
};
/** An idle machine boots in a tenth of it. */
const BOOT_TIMEOUT_MS = 240_000;
const MEASURE_TIMEOUT_MS = 600_000;
/** As `mount-bpffs` and systemd do it on a device. */
const MOUNTS = `
grep -q ' /sys/fs/bpf bpf ' /proc/mounts || mount -t bpf bpf /sys/fs/bpf
grep -q ' /sys/kernel/tracing tracefs ' /proc/mounts || mount -t tracefs tracefs /sys/kernel/tracing
`;

/** Debian's for arm64, unpacked and not installed; undefined where apt cannot bring it. */
function nodeExporter() {
  const folder = join(repositoryDir, '.cache/node-exporter-arm64');
  try {
    const [deb] = fetchPinned([EXPORTER], { suite: SUITE, architecture: 'arm64', into: folder });
    execFileSync('dpkg', ['-x', deb, folder]);
    return join(folder, 'usr/bin', EXPORTER.name);
  } catch (error) {
    say(`${EXPORTER.name} could not be had to compare with: ${error.message}`);
    return undefined;
  }
}

/** Only what is measured: the units and links of the package have no use in a VM that starts nothing. */
async function install(vm, folder) {
  await vm.sh(MOUNTS);
  await vm.copy(join(folder, 'opt/bpfleet-agent'), '/opt/bpfleet-agent');
  await vm.copy(join(folder, 'bench'), '/opt/bench');
  const exporter = nodeExporter();
  if (exporter === undefined) return [];
  await vm.copy(exporter, '/opt/bench/node_exporter');
  return ['--reference', '/opt/bench/node_exporter'];
}

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-agent-bench-'));
  let vm;
  try {
    await prepareBench('arm64', folder);
    vm = await startVm({ target: TARGET, bootTimeoutMs: BOOT_TIMEOUT_MS });
    const reference = await install(vm, folder);
    // With the VM's own Node: pages of the one that is measured would stay in the cache.
    const measured = await vm.output(['node', '/opt/bench/measure.cjs', ...reference], {
      env: NO_IO_URING,
      timeoutMs: MEASURE_TIMEOUT_MS,
      onOutput: (stream, chunk) => stream === 'stderr' && process.stderr.write(chunk),
    });
    return { ...JSON.parse(measured), name: 'agent-vm', emulated: true };
  } finally {
    await vm?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
