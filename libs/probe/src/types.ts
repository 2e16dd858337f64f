import type { Column, CopyWriter, PgType } from '@bpfleet/btf';
import type { DeviceDecoder } from './manifest/schema.js';

export type { PgType };

export type ParamValue = number | boolean | string;

/** Of a network interface: what arrives, or what leaves. */
export type TcDirection = 'ingress' | 'egress';

/** What `SEC()` cannot say about one program's attachment; empty when the manifest adds nothing. */
export interface AttachOptions {
  readonly interface?: string;
  readonly mode?: 'native' | 'generic';
  readonly direction?: TcDirection;
  readonly frequencyHz?: number;
}

/** What an agent drains for one release: it needs no other knowledge of a probe's telemetry. */
export interface TelemetryPlan {
  /** Ring buffers, and the events that share each. */
  readonly rings: readonly { readonly map: string; readonly events: readonly string[] }[];
  /** Maps read at every interval. Values of per-CPU maps arrive as `cpus` slots of `valueBytes` rounded up to 8. */
  readonly snapshots: readonly {
    readonly map: string;
    readonly typeName: string;
    readonly perCpu: boolean;
    readonly keyBytes: number;
    readonly valueBytes: number;
    readonly maxEntries: number;
  }[];
  /** The per-CPU array whose u64 at index 0 counts failed reservations; without it drops are unknown. */
  readonly drops?: string;
  /** Stack trace maps, read beside the snapshot that refers to them. */
  readonly stacks: readonly { readonly map: string; readonly valueBytes: number; readonly maxEntries: number }[];
}

/** One column of an event's table, beside the fixed ones (ts, device, release, run). */
export interface EventColumn {
  /** Matches ^[a-z_][a-z0-9_]{0,62}$. */
  readonly name: string;
  readonly pgType: PgType;
  readonly source: Column;
  /** Set when the text of a value must be looked up in the device's dictionary; the column holds the number. */
  readonly dictionary?: DeviceDecoder;
}

export interface ReaderContext {
  /** The device's architecture as `uname -m` says it, such as `x86_64` or `aarch64`: syscall numbers differ. */
  readonly arch: string;
  /** Possible CPUs of the device: the number of slots in a per-CPU value. Ignored for other maps. */
  readonly cpus: number;
  /** Names that only the device knows; without an answer the label is the number. */
  readonly dictionary?: (kind: DeviceDecoder, id: string) => string | undefined;
}

/** Reads the records of one event. Records whose `matches` is false belong to another event, or to nobody. */
export interface EventDecoder {
  readonly columns: readonly EventColumn[];
  /** Shorter records are not this event. */
  readonly bytesMin: number;
  /** Undefined when the manifest names no time field: the batch's own time counts then. */
  readonly clock: 'boottime' | 'monotonic' | 'realtime' | undefined;
  matches(view: DataView, offset: number, bytes: number): boolean;
  timeNs(view: DataView, offset: number): bigint | undefined;
  /** JSON-safe values by column name: numbers when exact, else decimal text; bytes as hex. For the live tail and jsonb. */
  toObject(view: DataView, offset: number, bytes: number): Record<string, unknown>;
  /**
   * Appends one COPY BINARY field per column, without the tuple's field count.
   * @throws BtfError RECORD_SHORT before anything is written, when `matches` would be false for its length
   */
  encode(view: DataView, offset: number, bytes: number, out: CopyWriter): void;
}

export interface ScalarPoint {
  readonly labels: Readonly<Record<string, string>>;
  /** Exact up to 2^53. In seconds for metrics named `*_seconds`. */
  readonly value: number;
}

export interface HistogramPoint {
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
  /** In the metric's final unit; null when the program keeps none. */
  readonly sum: number | null;
  /** Observations per bucket, not cumulative; as many as `bucketBounds` has entries, plus one for what is above. */
  readonly buckets: readonly number[];
}

export type SeriesPoint = ScalarPoint | HistogramPoint;

export interface MetricReader {
  readonly keyBytes: number;
  /** Bytes of one entry in `values`: for per-CPU maps all slots together. */
  readonly valueStrideBytes: number;
  /** Upper bounds of a histogram's buckets, exclusive, in the metric's unit; empty for counters and gauges. */
  readonly bounds: readonly number[];
  /** @throws BtfError RECORD_SHORT when the buffers hold fewer than `count` entries */
  read(keys: Uint8Array, values: Uint8Array, count: number): SeriesPoint[];
}

export interface ProfileSample {
  /** Ids in the stack map; undefined when the kernel could not walk that stack (a negative id). */
  readonly kernelStackId: number | undefined;
  readonly userStackId: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
}

export interface ProfileReader {
  readonly keyBytes: number;
  readonly valueStrideBytes: number;
  /** @throws BtfError RECORD_SHORT when the buffers hold fewer than `count` entries */
  read(keys: Uint8Array, values: Uint8Array, count: number): ProfileSample[];
}
