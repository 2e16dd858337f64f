import type { BpfObjectFile } from '@bpfleet/btf';
import type { ProbeManifest } from '../manifest/schema.js';
import type { HistogramPoint, MetricReader, ReaderContext, ScalarPoint, SeriesPoint } from '../types.js';
import { rawBounds, scaler } from './buckets.js';
import { Entries, viewOf } from './entries.js';
import type { LabelReader } from './labels.js';
import { labelKey, labelReader } from './labels.js';
import type { BoundMetric } from './metric.js';
import { ARRAY_TYPES, bindMetricOrThrow } from './metric.js';
import type { NumberReader } from './number.js';
import { columnNumber, elementNumber } from './number.js';

/**
 * Reads snapshots of a metric's map. Per-CPU values are summed; so are entries whose labels are equal, because bytes
 * behind the NUL of a char array make keys differ that nobody can tell apart. Entries of an array that are zero are no
 * series, unless the metric has no labels: then there is one, and zero is news.
 * @throws ManifestError when the manifest has no such metric, or it does not fit the object
 */
export function metricReader(
  manifest: ProbeManifest,
  object: BpfObjectFile,
  metricName: string,
  context: ReaderContext,
): MetricReader {
  const bound = bindMetricOrThrow(manifest, object, metricName);
  const entries = new Entries(bound.map, context.cpus);
  const labels = labelReader(bound.labels, bound.key.layout, context);
  const skipZero = ARRAY_TYPES.has(bound.map.typeName) && bound.labels.length > 0;
  const readPoints = bound.metric.buckets === undefined ? scalarPoints(bound) : histogramPoints(bound);
  return {
    keyBytes: entries.keyBytes,
    valueStrideBytes: entries.valueStrideBytes,
    bounds: boundsOf(bound),
    read(keys, values, count) {
      entries.check(keys, values, count);
      return readPoints({ entries, labels, keys: viewOf(keys), values, view: viewOf(values), count, skipZero });
    },
  };
}

/**
 * Upper bounds of a histogram's buckets in the metric's unit, exclusive and rising; the last bucket has none. Empty for
 * counters and gauges.
 * @throws ManifestError when the manifest has no such metric, or it does not fit the object
 */
export function bucketBounds(manifest: ProbeManifest, object: BpfObjectFile, metricName: string): number[] {
  return boundsOf(bindMetricOrThrow(manifest, object, metricName));
}

function boundsOf({ metric, column }: BoundMetric): number[] {
  if (metric.buckets === undefined) return [];
  return rawBounds(metric.buckets, column.element?.count ?? 0).map(scaler(metric));
}

interface Snapshot {
  readonly entries: Entries;
  readonly labels: LabelReader;
  readonly keys: DataView;
  readonly values: Uint8Array;
  readonly view: DataView;
  readonly count: number;
  readonly skipZero: boolean;
}

type PointReader = (snapshot: Snapshot) => SeriesPoint[];

function* entriesOf({ entries, values, count, skipZero }: Snapshot): Generator<{ key: number; value: number }> {
  for (let index = 0; index < count; index += 1) {
    if (skipZero && entries.isZero(values, index)) continue;
    yield { key: index * entries.keyBytes, value: index * entries.valueStrideBytes };
  }
}

/** The sum of one number over the slots of all CPUs. */
function sumOverCpus({ entries, view }: Snapshot, start: number, read: NumberReader): number {
  let total = 0;
  for (let slot = 0; slot < entries.slots; slot += 1) total += read(view, start + slot * entries.slotBytes);
  return total;
}

/** Binding has checked that these columns are numbers. */
function mustRead(reader: NumberReader | undefined): NumberReader {
  if (reader === undefined) throw new TypeError('a metric was bound to a column that is not a number');
  return reader;
}

function scalarPoints({ metric, column, value }: BoundMetric): PointReader {
  const read = mustRead(columnNumber(column, value.layout));
  const scale = scaler(metric);
  return (snapshot) => {
    const points = new Map<string, { labels: Record<string, string>; value: number }>();
    for (const entry of entriesOf(snapshot)) {
      const labels = snapshot.labels(snapshot.keys, entry.key);
      const total = sumOverCpus(snapshot, entry.value, read);
      const point = points.get(labelKey(labels));
      if (point === undefined) points.set(labelKey(labels), { labels, value: total });
      else point.value += total;
    }
    return [...points.values()].map((point): ScalarPoint => ({ labels: point.labels, value: scale(point.value) }));
  };
}

function histogramPoints({ metric, column, sum, value }: BoundMetric): PointReader {
  const element = column.element;
  const readSlot = mustRead(element && elementNumber(element, value.layout.littleEndian));
  const readSum = sum === undefined ? undefined : mustRead(columnNumber(sum, value.layout));
  const start = column.offsetBits / 8;
  const scale = scaler(metric);
  return (snapshot) => {
    const points = new Map<string, { labels: Record<string, string>; sum: number; buckets: number[] }>();
    for (const entry of entriesOf(snapshot)) {
      const labels = snapshot.labels(snapshot.keys, entry.key);
      const key = labelKey(labels);
      let point = points.get(key);
      if (point === undefined) {
        points.set(key, (point = { labels, sum: 0, buckets: new Array<number>(element?.count ?? 0).fill(0) }));
      }
      for (let i = 0; i < point.buckets.length; i += 1) {
        const at = entry.value + start + i * (element?.bytes ?? 0);
        point.buckets[i] = (point.buckets[i] as number) + sumOverCpus(snapshot, at, readSlot);
      }
      if (readSum !== undefined) point.sum += sumOverCpus(snapshot, entry.value, readSum);
    }
    return [...points.values()].map(({ labels, sum: total, buckets }): HistogramPoint => {
      const count = buckets.reduce((a, b) => a + b, 0);
      return { labels, count, sum: readSum === undefined ? null : scale(total), buckets };
    });
  };
}
