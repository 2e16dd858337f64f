import { readObject, type BpfObjectFile } from '@bpfleet/btf';
import {
  DEVICE_DECODERS,
  eventColumns,
  eventDecoder,
  metricReader,
  parseManifest,
  profileReader,
  telemetryPlan,
  type DeviceDecoder,
  type EventDecoder,
  type MetricManifest,
  type MetricReader,
  type ProbeManifest,
  type ProfileManifest,
  type ProfileReader,
} from '@bpfleet/probe';
import { columnsFor, FIXED_COLUMNS, type EventTableColumn } from '../../telemetry/index.js';
import type { CopyTarget } from './rows.js';

/** One event of a release, ready to be stored. `target` is undefined when control has made no table for it. */
export interface EventSink {
  readonly event: string;
  readonly decoder: EventDecoder;
  readonly target: CopyTarget | undefined;
}

export interface MetricSink {
  readonly metric: MetricManifest;
  readonly reader: MetricReader;
}

export interface ProfileSink {
  readonly profile: ProfileManifest;
  readonly reader: ProfileReader;
}

export interface SnapshotSinks {
  readonly metrics: readonly MetricSink[];
  readonly profiles: readonly ProfileSink[];
}

export type Dictionary = (kind: DeviceDecoder, id: string) => string | undefined;

const SNAPSHOT_SINKS_MAX = 64;
/** An address in a stack trace map, on 32-bit kernels too. */
const FRAME_BYTES = 8;

/** Table and columns of one event as control made them. */
export interface EventTable {
  readonly event: string;
  readonly table: string;
  readonly columns: readonly EventTableColumn[];
}

/** What a release's object and manifest say about the bytes of its maps, for devices of one architecture. */
export class ReleaseDecoders {
  private readonly rings: ReadonlyMap<string, readonly EventSink[]>;
  private readonly stackFrames: ReadonlyMap<string, number>;
  private readonly snapshots = new Map<string, SnapshotSinks>();
  private names: Dictionary = () => undefined;
  /** Kinds of names its labels need. */
  readonly dictionaries: readonly DeviceDecoder[];

  private constructor(
    readonly manifest: ProbeManifest,
    private readonly object: BpfObjectFile,
    private readonly arch: string,
    tables: readonly EventTable[],
  ) {
    const byEvent = new Map(tables.map((table) => [table.event, table]));
    const plan = telemetryPlan(manifest, object);
    this.rings = new Map(
      plan.rings.map(({ map, events }) => [map, events.map((event) => this.sinkOf(event, byEvent.get(event)))]),
    );
    this.stackFrames = new Map(plan.stacks.map(({ map, valueBytes }) => [map, Math.floor(valueBytes / FRAME_BYTES)]));
    const used = new Set(manifest.metrics.flatMap(({ labels }) => Object.values(labels).map(decoderName)));
    this.dictionaries = DEVICE_DECODERS.filter((kind) => used.has(kind));
  }

  /** @throws ManifestError, BtfError when either cannot be read */
  static read(manifestYaml: string, object: Uint8Array, arch: string, tables: readonly EventTable[]): ReleaseDecoders {
    return new ReleaseDecoders(parseManifest(manifestYaml), readObject(object), arch, tables);
  }

  events(map: string): readonly EventSink[] | undefined {
    return this.rings.get(map);
  }

  /** How many frames a stack of this map has at most; undefined for a map without stacks. */
  stackFramesMax(map: string): number | undefined {
    return this.stackFrames.get(map);
  }

  /** Readers of one map's snapshots. Their labels are looked up in the dictionary that `useDictionary` was given last. */
  snapshotSinks(map: string, cpus: number): SnapshotSinks {
    const key = `${cpus} ${map}`;
    const known = this.snapshots.get(key);
    if (known !== undefined) return known;
    const context = { arch: this.arch, cpus, dictionary: (kind: DeviceDecoder, id: string) => this.names(kind, id) };
    const { manifest, object } = this;
    const sinks = {
      metrics: manifest.metrics
        .filter((metric) => metric.map === map)
        .map((metric) => ({ metric, reader: metricReader(manifest, object, metric.name, context) })),
      profiles: manifest.profiles
        .filter((profile) => profile.map === map)
        .map((profile) => ({ profile, reader: profileReader(manifest, object, profile.name, context) })),
    };
    // The number of CPUs is a device's word: readers for ever new ones must not pile up.
    if (this.snapshots.size >= SNAPSHOT_SINKS_MAX) this.snapshots.clear();
    this.snapshots.set(key, sinks);
    return sinks;
  }

  /** Names of the device whose batch is read next. */
  useDictionary(names: Dictionary): void {
    this.names = names;
  }

  private sinkOf(event: string, table: EventTable | undefined): EventSink {
    const decoder = eventDecoder(this.manifest, this.object, event, { arch: this.arch });
    const columns = table && columnsFor(table.columns, eventColumns(this.manifest, this.object, event));
    const target = table && columns && targetOf(table, columns);
    return { event, decoder, target };
  }
}

function targetOf({ table }: EventTable, columns: readonly EventTableColumn[]): CopyTarget {
  return { table, columns: [...FIXED_COLUMNS, ...columns.map(({ columnName }) => columnName)] };
}

function decoderName(label: MetricManifest['labels'][string]): string {
  return typeof label === 'string' ? label : label.decode;
}
