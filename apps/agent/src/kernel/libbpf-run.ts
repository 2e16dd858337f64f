import { RingReader, type BpfMap, type BpfObject, type Link, type Program } from '@bpfleet/node-libbpf';
import type { AttachOptions } from '@bpfleet/probe';
import { AgentError } from '../agent-error.js';
import type { KernelIds } from '../core/run-record.js';
import { attachProgram, type NamedLink } from './attach.js';
import type { PinFolder } from './bpffs.js';
import type { KernelRun, Ring, SnapshotMap } from './port.js';

const DROPS_MAP = 'bpfleet_drops';

export interface LoadedParts {
  readonly bootId: string;
  readonly run: string;
  readonly pins: PinFolder;
  /** Undefined where this kernel or this process has no bpffs. */
  readonly pinned: boolean;
  readonly object: BpfObject | undefined;
  readonly programs: ReadonlyMap<string, Program>;
  readonly maps: ReadonlyMap<string, BpfMap>;
}

/** One run in the kernel: owns its programs, maps, links and ring mappings until `close`. */
export class LibbpfRun implements KernelRun {
  private links: { pin: string | null; link: Link }[] = [];
  private readonly rings = new Map<string, RingReader>();
  private closed = false;

  constructor(
    private readonly parts: LoadedParts,
    adopted: readonly { pin: string; link: Link }[] = [],
  ) {
    this.links = [...adopted];
  }

  get ids(): KernelIds {
    const { bootId, programs, maps } = this.parts;
    return {
      bootId,
      programs: [...programs].map(([name, { id }]) => ({ name, id })),
      maps: [...maps].map(([name, { id }]) => ({ name, id })),
      links: this.links.map(({ pin, link }) => ({ pin, id: link.id ?? null })),
    };
  }

  get hold(): KernelRun['hold'] {
    const pinned = this.links.filter(({ pin }) => pin !== null).length;
    if (pinned === 0) return 'process';
    return pinned === this.links.length ? 'pinned' : 'mixed';
  }

  attach(optionsOf: (program: string) => AttachOptions): void {
    if (this.links.length > 0) throw new AgentError('ATTACH_FAILED', `run ${this.parts.run} is attached already`);
    const attached: NamedLink[] = [];
    try {
      for (const [name, program] of this.parts.programs) attached.push(...attachProgram(program, optionsOf(name)));
    } catch (error) {
      for (const { link } of attached) link.detach();
      throw error;
    }
    this.links = attached.map(({ pin, link }) => ({ pin: this.pin(pin, link), link }));
  }

  ring(name: string): Ring {
    const map = this.mapNamed(name);
    const reader = this.rings.get(name) ?? new RingReader(map);
    this.rings.set(name, reader);
    return {
      mapId: map.id,
      dataBytes: reader.dataBytes,
      get consumerPosition() {
        return reader.consumerPosition;
      },
      drain: (target) => reader.drain(target),
      commit: (position) => reader.commit(position),
    };
  }

  map(name: string): SnapshotMap {
    return this.mapNamed(name);
  }

  programs(): ReturnType<KernelRun['programs']> {
    return [...this.parts.programs].map(([name, program]) => {
      const { id, tag, runCount, runTimeNs } = program.info();
      return { name: name.slice(0, 256), id, tag, runCount: Number(runCount), runTimeNs: Number(runTimeNs) };
    });
  }

  kernelDrops(): number | null {
    const map = this.parts.maps.get(DROPS_MAP);
    const value = map?.lookup(Buffer.alloc(map.keyBytes));
    if (!map || !value) return null;
    let sum = 0n;
    for (let at = 0; at + 8 <= value.length; at += 8) sum += value.readBigUInt64LE(at);
    return Number(sum);
  }

  detach(): void {
    for (const { link } of this.links.splice(0)) link.detach();
  }

  close({ unpin }: { unpin: boolean }): void {
    if (this.closed) return;
    this.closed = true;
    if (unpin) this.detach();
    for (const { link } of this.links.splice(0)) link.close();
    for (const ring of this.rings.values()) ring.close();
    for (const program of this.parts.programs.values()) program.close();
    for (const map of this.parts.maps.values()) map.close();
    this.parts.object?.close();
    if (unpin && this.parts.pinned) this.parts.pins.remove(this.parts.run);
  }

  /** Below 5.15 perf-based links cannot be pinned: they end with this process, and the run says so. */
  private pin(name: string, link: Link): string | null {
    if (!this.parts.pinned) return null;
    try {
      link.pin(this.parts.pins.path(this.parts.run, 'links', name));
      return name;
    } catch {
      return null;
    }
  }

  private mapNamed(name: string): BpfMap {
    const map = this.parts.maps.get(name);
    if (map) return map;
    throw new AgentError(
      'OBJECT_INVALID',
      `the object has no map ${name}; it has ${[...this.parts.maps.keys()].join(', ')}`,
    );
  }
}
