import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, promisify } from 'node:util';
import { readObject } from '@bpfleet/btf';
import type { BpfObjectFile } from '@bpfleet/btf';
import { openObject, possibleCpus, RingReader } from '@bpfleet/node-libbpf';
import type { BpfObject, Link, Program } from '@bpfleet/node-libbpf';
import {
  attachOptions,
  checkManifest,
  eventDecoder,
  globalImages,
  metricReader,
  parseManifest,
  profileReader,
  resolveParams,
} from '@bpfleet/probe';
import type { HistogramPoint, ParamValue, ProbeManifest, ProfileSample, ScalarPoint } from '@bpfleet/probe';

const run = promisify(execFile);
const folder = fileURLToPath(new URL('..', import.meta.url));
const KERNEL_BTF = '/sys/kernel/btf/vmlinux';
const TARGET_ARCH: Record<string, string> = { x64: 'x86', arm64: 'arm64', arm: 'arm' };
const UNAME_ARCH: Record<string, string> = { x64: 'x86_64', arm64: 'aarch64', arm: 'armv7l' };
const HEADER_BYTES_MAX = 64 * 1024 * 1024;
// Turns of the event loop, some ten seconds of them.
const TURNS_MAX = 200_000;
const DRAIN_BYTES = 1024 * 1024;

/** The folder of one built-in probe. */
export function probeFolder(name: string): string {
  return path.join(folder, name);
}

/** vmlinux.h of this kernel, made once per kernel; rename is what makes parallel test files agree. */
async function vmlinuxFolder(): Promise<string> {
  const digest = createHash('sha256').update(readFileSync(KERNEL_BTF)).digest('hex').slice(0, 16);
  const target = path.join(tmpdir(), `bpfleet-vmlinux-${digest}`);
  if (existsSync(path.join(target, 'vmlinux.h'))) return target;
  const { stdout } = await run('bpftool', ['btf', 'dump', 'file', KERNEL_BTF, 'format', 'c'], {
    maxBuffer: HEADER_BYTES_MAX,
    env: { PATH: `${process.env['PATH']}:/usr/sbin` },
  });
  mkdirSync(target, { recursive: true });
  const draft = path.join(target, `vmlinux.${process.pid}.h`);
  writeFileSync(draft, stdout);
  renameSync(draft, path.join(target, 'vmlinux.h'));
  return target;
}

/** Compiles a built-in probe for this machine, as the compile jail does, but with warnings as errors. */
export async function compileProbe(name: string): Promise<Buffer> {
  const out = mkdtempSync(path.join(tmpdir(), 'bpfleet-probe-'));
  try {
    const object = path.join(out, `${name}.bpf.o`);
    const headers = ['-I', path.join(folder, 'include'), '-I', await vmlinuxFolder()];
    const flags = [
      '--target=bpfel',
      `-D__TARGET_ARCH_${TARGET_ARCH[process.arch]}`,
      '-O2',
      '-g',
      '-Wall',
      '-Werror',
      '-mcpu=v2',
    ];
    await run('clang', [...flags, ...headers, '-c', path.join(probeFolder(name), `${name}.bpf.c`), '-o', object]);
    return readFileSync(object);
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** A built-in probe, compiled, loaded and attached as its manifest says; what it sees is read as an agent and the server would. */
export class RunningProbe {
  private readonly links: Link[] = [];
  private readonly rings = new Map<string, RingReader>();

  private constructor(
    readonly manifest: ProbeManifest,
    readonly file: BpfObjectFile,
    readonly object: BpfObject,
    private readonly params: Record<string, ParamValue>,
  ) {}

  /** Compiles and loads; attaches nothing yet. */
  static async load(name: string, params: Record<string, ParamValue> = {}): Promise<RunningProbe> {
    const manifest = parseManifest(readFileSync(path.join(probeFolder(name), 'probe.yaml'), 'utf8'));
    const bytes = await compileProbe(name);
    const file = readObject(bytes);
    const issues = checkManifest(manifest, file);
    if (issues.length > 0) throw new Error(`probe.yaml of ${name}: ${JSON.stringify(issues)}`);
    const resolved = resolveParams(manifest, params);
    const spec = openObject(bytes, { name });
    for (const [map, image] of globalImages(file, manifest, resolved)) spec.map(map).initialValue = Buffer.from(image);
    return new RunningProbe(manifest, file, spec.load(), resolved);
  }

  /** Compiles, loads and attaches every program. */
  static async start(name: string, params: Record<string, ParamValue> = {}): Promise<RunningProbe> {
    const probe = await RunningProbe.load(name, params);
    try {
      for (const program of probe.object.programs) probe.attach(program);
    } catch (error) {
      probe.close();
      throw error;
    }
    return probe;
  }

  private attach(program: Program): void {
    const options = attachOptions(this.manifest, program.name, this.params);
    if (program.type === 'xdp') {
      const ifindex = Number(readFileSync(`/sys/class/net/${options.interface}/ifindex`, 'utf8'));
      this.links.push(program.attachXdp(ifindex, options.mode ? { mode: options.mode } : {}));
    } else if (program.type === 'perf_event') {
      for (let cpu = 0; cpu < possibleCpus(); cpu++) {
        const frequencyHz = options.frequencyHz ?? 49;
        this.links.push(program.attachPerfEvent({ type: 'software', config: 0, frequencyHz, cpu, pid: -1 }));
      }
    } else {
      this.links.push(program.attach());
    }
  }

  /** The records of one event that came since the last call, as the live tail shows them, with the time of each as `timeNs`. */
  takeEvents(name: string): Record<string, unknown>[] {
    const event = this.manifest.events.find((candidate) => candidate.name === name);
    if (!event) throw new Error(`${this.manifest.name} has no event ${name}`);
    const ring = this.rings.get(event.map) ?? new RingReader(this.object.map(event.map));
    this.rings.set(event.map, ring);
    const decoder = eventDecoder(this.manifest, this.file, name, { arch: unameArch() });
    const target = Buffer.alloc(DRAIN_BYTES);
    const { bytes, position } = ring.drain(target);
    const view = new DataView(target.buffer, target.byteOffset, bytes);
    const events: Record<string, unknown>[] = [];
    for (let at = 0; at < bytes;) {
      const length = view.getUint32(at, true);
      if (decoder.matches(view, at + 4, length)) {
        events.push({ ...decoder.toObject(view, at + 4, length), timeNs: decoder.timeNs(view, at + 4) });
      }
      at = Math.ceil((at + 4 + length) / 8) * 8;
    }
    ring.commit(position);
    return events;
  }

  /** Waits until `found` picks something out of the events of that name; each turn lets the event loop go round. */
  async waitForEvents<T>(name: string, found: (all: Record<string, unknown>[]) => T | undefined): Promise<T> {
    const all: Record<string, unknown>[] = [];
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      all.push(...this.takeEvents(name));
      const result = found(all);
      if (result !== undefined) return result;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error(`the events never came; there were ${all.length}, such as ${inspect(all.slice(-3))}`);
  }

  /** The series of one counter or gauge. */
  scalars(metric: string): ScalarPoint[] {
    return this.readMetric(metric) as ScalarPoint[];
  }

  histograms(metric: string): HistogramPoint[] {
    return this.readMetric(metric) as HistogramPoint[];
  }

  private readMetric(name: string): unknown[] {
    const metric = this.manifest.metrics.find((candidate) => candidate.name === name);
    if (!metric) throw new Error(`${this.manifest.name} has no metric ${name}`);
    const reader = metricReader(this.manifest, this.file, name, { arch: unameArch(), cpus: possibleCpus() });
    const { keys, values, count } = this.object.map(metric.map).readAll();
    return reader.read(keys, values, count);
  }

  profile(name: string): ProfileSample[] {
    const profile = this.manifest.profiles.find((candidate) => candidate.name === name);
    if (!profile) throw new Error(`${this.manifest.name} has no profile ${name}`);
    const reader = profileReader(this.manifest, this.file, name, { arch: unameArch(), cpus: possibleCpus() });
    const { keys, values, count } = this.object.map(profile.map).readAll();
    return reader.read(keys, values, count);
  }

  close(): void {
    for (const ring of this.rings.values()) ring.close();
    for (const link of this.links) link.close();
    this.object.close();
  }
}

function unameArch(): string {
  return UNAME_ARCH[process.arch] ?? process.arch;
}
