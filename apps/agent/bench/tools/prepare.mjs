// node apps/agent/bench/tools/prepare.mjs --arch x64|arm64|armv7 --out DIR: everything that the benchmark needs on another machine.
// There, with any Node: node DIR/bench/measure.cjs --home DIR/opt/bpfleet-agent [--reference DIR/bench/node_exporter]
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { repositoryDir } from '../../../../scripts/bootstrap.mjs';
import { Refusal, runScript } from '../../../../scripts/say.mjs';
import { targets } from '../../package/targets.mjs';
import { deviceTree } from '../../package/tree.mjs';

const tools = join(repositoryDir, 'apps/agent/bench/tools');
const COMPILER_ARCH = { x64: 'x86', arm64: 'arm64', armv7: 'arm' };
/** Two that read maps and relocate, and one that takes stacks; `watch_priority` makes events. */
const BUILT_IN = ['count_syscalls', 'run_queue_latency', 'profile_cpu'];

/** The testkit can boot VMs, with a compiler that is machine code; what is measured never asks it for one. */
/** @type {import('esbuild').Plugin} */
const withoutVms = {
  name: 'without-vms',
  setup(builder) {
    builder.onResolve({ filter: /^@bpfleet\/vm$/ }, ({ path }) => ({ path, namespace: 'unused' }));
    builder.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** One file to run, from TypeScript and libraries. */
async function bundle(entry, outfile) {
  await build({
    absWorkingDir: repositoryDir,
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20.11',
    outfile,
    logLevel: 'error',
    plugins: [withoutVms],
    define: { 'import.meta.url': 'bundleUrl' },
    banner: { js: "const bundleUrl=require('node:url').pathToFileURL(__filename).href;" },
  });
}

async function prioritySources() {
  const work = mkdtempSync(join(tmpdir(), 'bpfleet-bench-'));
  try {
    await bundle(join(repositoryDir, 'apps/agent/src/testing/priority-probe.ts'), join(work, 'probe.cjs'));
    const { default: probe } = await import(pathToFileURL(join(work, 'probe.cjs')).href);
    return probe;
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** The BPF target is one for all; only the names of registers are those of a processor. */
function compile(source, object, arch, includes) {
  const triplet = execFileSync('cc', ['-dumpmachine'], { encoding: 'utf8' }).trim();
  const headers = [...includes, `/usr/include/${triplet}`].flatMap((folder) => ['-I', folder]);
  const flags = ['-g', '-O2', '-mcpu=v2', '--target=bpfel', `-D__TARGET_ARCH_${COMPILER_ARCH[arch]}`];
  execFileSync('clang', [...flags, ...headers, '-c', source, '-o', object], { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function prepareProbes(arch, folder) {
  const work = mkdtempSync(join(tmpdir(), 'bpfleet-bench-'));
  try {
    const vmlinux = execFileSync('bpftool', ['btf', 'dump', 'file', '/sys/kernel/btf/vmlinux', 'format', 'c'], {
      maxBuffer: 64 << 20,
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    });
    writeFileSync(join(work, 'vmlinux.h'), vmlinux);
    for (const name of BUILT_IN) {
      const source = join(repositoryDir, 'libs/probes', name);
      mkdirSync(join(folder, name), { recursive: true });
      copyFileSync(join(source, 'probe.yaml'), join(folder, name, 'probe.yaml'));
      const includes = [join(repositoryDir, 'libs/probes/include'), work];
      compile(join(source, `${name}.bpf.c`), join(folder, name, 'probe.bpf.o'), arch, includes);
    }
    const { prioritySource, priorityManifest } = await prioritySources();
    mkdirSync(join(folder, 'watch_priority'), { recursive: true });
    writeFileSync(join(folder, 'watch_priority/probe.yaml'), priorityManifest);
    writeFileSync(join(work, 'probe.bpf.c'), prioritySource);
    compile(join(work, 'probe.bpf.c'), join(folder, 'watch_priority/probe.bpf.o'), arch, []);
  } finally {
    rmSync(work, { recursive: true });
  }
}

/**
 * @param {string} arch
 * @param {string} out a folder that is empty or not there
 */
export async function prepareBench(arch, out) {
  const target = targets[arch];
  if (!target) throw new Refusal(`there is no architecture "${arch}": choose from ${Object.keys(targets).join(', ')}`);
  for (const { path, mode, content, linkTo } of (await deviceTree(target)).entries) {
    const place = join(out, path);
    if (linkTo !== undefined) symlinkSync(linkTo, place);
    else if (content === undefined) mkdirSync(place, { recursive: true });
    else writeFileSync(place, content, { mode: mode ?? 0o644 });
  }
  const bench = join(out, 'bench');
  mkdirSync(bench);
  await bundle(join(tools, 'measure.mjs'), join(bench, 'measure.cjs'));
  await bundle(join(tools, 'load.mjs'), join(bench, 'load.cjs'));
  copyFileSync(join(out, 'opt/bpfleet-agent/lib/bpf.node'), join(bench, 'bpf.node'));
  await prepareProbes(arch, join(bench, 'probes'));
  return { node: join(out, 'opt/bpfleet-agent/lib/node'), script: join(bench, 'measure.cjs') };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await runScript(async () => {
    const { values } = parseArgs({ options: { arch: { type: 'string', default: 'x64' }, out: { type: 'string' } } });
    if (values.out === undefined) throw new Refusal('--out DIR is missing');
    mkdirSync(dirname(values.out), { recursive: true });
    process.stdout.write(`${JSON.stringify(await prepareBench(values.arch, values.out))}\n`);
  });
}
