// Measures an agent as it is installed: node measure.cjs [--home /opt/bpfleet-agent] [--reference PROGRAM]. One line of JSON.
// It is bundled with a server that signs, answers and acknowledges, so that it runs on any machine that has the agent, such
// as a VM. Needs root: it loads programs, and resets the peak of another process.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, machine, release } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { readObject, tailorBtf, parseBtf } from '@bpfleet/btf';
import { FleetServer } from '../../src/testing/fleet-server.ts';
import { cpuMs, memoryOf, resetPeak } from './process-memory.mjs';

const DEVICE = 'dbench000001';
const KERNEL_BTF = '/sys/kernel/btf/vmlinux';
/** The agent gives freed memory back every 10 seconds: what it holds is known after one such turn. */
const SETTLE_MS = 12_000;
const LOAD_SECONDS = 20;
const EVENTS_PER_SECOND = 1_000;
const EVENT_PROBE = 'watch_priority';
/** Reads the kernel's symbols, whose table the agent keeps while a profile is taken. */
const PROFILE_PROBE = 'profile_cpu';

const here = dirname(process.argv[1]);
const { values } = parseArgs({
  options: { home: { type: 'string', default: '/opt/bpfleet-agent' }, reference: { type: 'string' } },
});
const node = join(values.home, 'lib/node');
const children = new Set();

function start(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], ...options });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

function ended(child) {
  return new Promise((resolve) => (child.exitCode === null ? child.once('exit', resolve) : resolve()));
}

async function stop(child, signal) {
  child.kill(signal);
  await ended(child);
}

function median(list) {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
}

/**
 * How much of a program is mapped with each page fault depends on how its pages came into the cache: one that was just written
 * shows 15 MB more than after a boot. So they go, and come back as they are touched; where files lie in memory only (the
 * initramfs of a VM), nothing goes.
 */
function forgetCached(path) {
  spawnSync('sync', [path]);
  spawnSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
}

/** A Node that does nothing, three times: the baseline. */
async function emptyNode() {
  const seen = [];
  for (let turn = 0; turn < 3; turn++) {
    const child = start(node, ['-e', 'setInterval(() => {}, 1e6); console.log(1)']);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await pause(1_000);
    seen.push(memoryOf(child.pid));
    await stop(child, 'SIGKILL');
  }
  return { rssKib: median(seen.map((one) => one.rssKib)), anonymousKib: median(seen.map((one) => one.anonymousKib)) };
}

/** The objects beside this file, by probe; those with CO-RE only where there is a BTF to relocate against. */
function probes() {
  return readdirSync(join(here, 'probes'))
    .filter((name) => name !== PROFILE_PROBE && (existsSync(KERNEL_BTF) || name === EVENT_PROBE))
    .map(readProbe);
}

function readProbe(name) {
  const folder = join(here, 'probes', name);
  return {
    name,
    manifest: readFileSync(join(folder, 'probe.yaml'), 'utf8'),
    object: readFileSync(join(folder, 'probe.bpf.o')),
  };
}

/** CPU in percent of one, and memory at the end, while something goes on. */
async function during(pid, ms, work = () => pause(ms)) {
  const [cpu, at] = [cpuMs(pid), performance.now()];
  await work();
  const cpuPercent = (100 * (cpuMs(pid) - cpu)) / (performance.now() - at);
  return { cpuPercent: Number(cpuPercent.toFixed(2)), ...memoryOf(pid) };
}

/** System calls that the probe turns into events, spread evenly over each second. */
async function causeEvents(count, seconds) {
  const begun = performance.now();
  for (let done = 0; done < count * seconds;) {
    const due = Math.min(count * seconds, Math.floor(((performance.now() - begun) / 1000) * count));
    for (; done < due; done++) {
      try {
        getPriority(4_000_000 + (done % 1_000));
      } catch {
        // There is no such process; the question itself is the event.
      }
    }
    await pause(5);
  }
}

/** With a profile beside the rest: what the table of the kernel's symbols takes while it is kept, and while it is made. */
async function duringProfile(server, pid, entries) {
  if (!existsSync(KERNEL_BTF)) return null;
  resetPeak(pid);
  const { name, manifest, object } = readProbe(PROFILE_PROBE);
  const run = 'r0000000d';
  const entry = server.entry(run, server.publish(manifest, object, name), { probe: name, params: {} });
  await server.desire([...entries, entry]);
  await server.untilState(run, 'ATTACHED');
  await pause(2 * SETTLE_MS);
  return during(pid, SETTLE_MS);
}

async function measureAgent() {
  const server = await FleetServer.start(DEVICE);
  const state = await server.enrolledState();
  const agent = start(join(values.home, 'bin/bpfleet-agent'), ['run', '--state', state]);
  try {
    await new Promise((resolve, reject) => {
      agent.stdout.once('data', resolve);
      agent.once('exit', (code) => reject(new Error(`the agent ended at its start (${code})`)));
    });
    await server.until(() => server.syncs.length > 0);
    const started = memoryOf(agent.pid);
    await pause(SETTLE_MS);
    const idle = await during(agent.pid, SETTLE_MS);

    resetPeak(agent.pid);
    const list = probes();
    const runs = ['r0000000a', 'r0000000b', 'r0000000c'];
    const entries = runs.map((run, index) => {
      const probe = list[index % list.length];
      const digest = server.publish(probe.manifest, probe.object, probe.name);
      const params = probe.name === EVENT_PROBE ? { caller: index < list.length ? process.pid : 1 } : {};
      return server.entry(run, digest, { probe: probe.name, params });
    });
    await server.desire(entries);
    for (const run of runs) await server.untilState(run, 'ATTACHED');
    const loading = memoryOf(agent.pid);
    await pause(SETTLE_MS);
    const attached = await during(agent.pid, SETTLE_MS);

    const before = server.recordValues(12).length;
    const busy = await during(agent.pid, 0, () => causeEvents(EVENTS_PER_SECOND, LOAD_SECONDS));
    await server.until(() => server.recordValues(12).length - before >= EVENTS_PER_SECOND * LOAD_SECONDS);
    const profiling = await duringProfile(server, agent.pid, entries);
    return { started, idle, loading, attached, busy, profiling, probes: entries.map(({ probe }) => probe) };
  } finally {
    await stop(agent, 'SIGTERM');
    await server.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

/** How much more a process has held for a moment because it loaded one CO-RE object, with either BTF. */
function loadPeaks() {
  if (!existsSync(KERNEL_BTF)) return null;
  const object = join(here, 'probes/run_queue_latency/probe.bpf.o');
  const tailored = tailorBtf(readObject(readFileSync(object)), parseBtf(readFileSync(KERNEL_BTF)));
  const peak = (input) => {
    const args = ['--max-semi-space-size=1', join(here, 'load.cjs'), object];
    const { stdout, stderr, status } = spawnSync(node, args, { input, encoding: 'utf8' });
    if (status !== 0) throw new Error(`the object could not be loaded: ${stderr}`);
    return Number(stdout);
  };
  return {
    kernelBtfKib: median([0, 1, 2].map(() => peak(''))),
    tailoredBtfKib: median([0, 1, 2].map(() => peak(tailored))),
    tailoredBytes: tailored.length,
  };
}

/** Something that field engineers know, idle after it was asked once. */
async function reference() {
  if (values.reference === undefined) return null;
  const child = start(values.reference, ['--web.listen-address=127.0.0.1:19100']);
  try {
    for (let left = 50; ; left--) {
      const answer = await fetch('http://127.0.0.1:19100/metrics').catch(() => undefined);
      if (answer?.ok) break;
      if (left === 0) throw new Error('the reference does not answer');
      await pause(200);
    }
    await pause(1_000);
    return memoryOf(child.pid);
  } finally {
    await stop(child, 'SIGKILL');
  }
}

const mib = (kib) => Number((kib / 1024).toFixed(1));
const brief = ({ rssKib, anonymousKib, cpuPercent }) => ({
  rssMib: mib(rssKib),
  anonymousMib: mib(anonymousKib),
  ...(cpuPercent === undefined ? {} : { cpuPercent }),
});

async function main() {
  forgetCached(node);
  const empty = await emptyNode();
  const seen = await measureAgent();
  const peaks = loadPeaks();
  const known = await reference();
  const ratio = (kib) => Number((kib / empty.rssKib).toFixed(3));
  return {
    name: 'agent',
    ratio: ratio(seen.idle.rssKib),
    unit: 'RSS of the idle agent, of that of an empty Node without flags',
    machine: machine(),
    kernel: release(),
    node: spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim(),
    flags: /lib\/node" (.*) "\$home/.exec(readFileSync(join(values.home, 'bin/bpfleet-agent'), 'utf8'))?.[1],
    empty: brief(empty),
    started: brief(seen.started),
    idle: brief(seen.idle),
    probes: seen.probes,
    loadingPeakMib: mib(seen.loading.peakKib),
    attached: { ...brief(seen.attached), ratio: ratio(seen.attached.rssKib) },
    events: { perSecond: EVENTS_PER_SECOND, ...brief(seen.busy), ratio: ratio(seen.busy.rssKib) },
    profile: seen.profiling && {
      ...brief(seen.profiling),
      ratio: ratio(seen.profiling.rssKib),
      peakMib: mib(seen.profiling.peakKib),
    },
    loadPeak: peaks && {
      kernelBtfMib: mib(peaks.kernelBtfKib),
      tailoredBtfMib: mib(peaks.tailoredBtfKib),
      tailoredBytes: peaks.tailoredBytes,
    },
    nodeExporter: known && brief(known),
  };
}

main()
  .then((result) => process.stdout.write(`${JSON.stringify(result)}\n`))
  .catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  })
  .finally(() => {
    for (const child of children) child.kill('SIGKILL');
    process.exit();
  });
