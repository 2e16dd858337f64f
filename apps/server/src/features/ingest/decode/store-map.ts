import type { BatchHeader } from '@bpfleet/wire';
import type { ProfileSample, SeriesPoint } from '@bpfleet/probe';
import { canonicalLabels } from './clean-text.js';
import { jsonb, wholeCount } from './copy-values.js';
import type { MetricSink, ProfileSink } from './release-decoders.js';
import type { CopyTarget, PointRow, SeriesKey } from './rows.js';
import { BatchRefused, type BatchContext, type Stored } from './batch-context.js';

const PROFILE: CopyTarget = {
  table: 'profile',
  columns: [
    ...['ts', 'device', 'run', 'release', 'probe', 'profile', 'boot', 'stacks', 'kernel_stack', 'user_stack'],
    ...['labels', 'count'],
  ],
};

interface Snapshot {
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
  readonly count: number;
  readonly gone: Uint8Array;
  readonly goneCount: number;
  readonly valueBytes: number;
}

/** A map snapshot: absolute values of the entries that changed become one point per series at the batch's time. */
export function storeMap(context: BatchContext, sections: readonly Uint8Array[], stored: Stored): void {
  const { batch, decoders, dictionary } = context;
  decoders.useDictionary(dictionary);
  const { header } = batch;
  const { map } = header.source;
  const cpus = header.cpus ?? 1;
  const { metrics, profiles } = decoders.snapshotSinks(map, cpus);
  if (metrics.length + profiles.length === 0) {
    throw new BatchRefused('source_unknown', `the release has no metric or profile in ${map}`);
  }
  const snapshot = snapshotOf(header, sections);
  for (const metric of metrics) stored.samples += storeMetric(context, metric, snapshot);
  for (const profile of profiles) stored.samples += storeProfile(context, profile, snapshot);
}

function snapshotOf(header: BatchHeader, sections: readonly Uint8Array[]): Snapshot {
  const [keys, values, gone] = sections;
  const [keySection, valueSection, goneSection] = header.sections;
  if (!keys || !values || !keySection || !valueSection) {
    throw new BatchRefused('body_malformed', 'a map snapshot has keys, values and keys that went');
  }
  if (keySection.items !== header.count || valueSection.items !== header.count) {
    throw new BatchRefused('body_malformed', `${header.count} entries are stated, but there are not as many`);
  }
  return {
    keys,
    values,
    count: header.count,
    gone: gone ?? new Uint8Array(),
    goneCount: goneSection?.items ?? 0,
    valueBytes: valueSection.stride,
  };
}

function storeMetric(context: BatchContext, { metric, reader }: MetricSink, snapshot: Snapshot): number {
  const { batch, run, rows, time } = context;
  assertStrides(batch.header, reader, snapshot);
  const owner = { device: run.device, run: run.id, release: run.version, probe: run.probe, metric: metric.name };
  const series = (point: { labels: SeriesPoint['labels'] }): SeriesKey => ({
    ...owner,
    labels: canonicalLabels(point.labels),
  });
  const points = reader.read(snapshot.keys, snapshot.values, snapshot.count);
  for (const point of points) rows.points.push(pointRow(point, series(point), time.sealedMicros));
  if (metric.type === 'histogram') return points.length;
  const gone = labelsOfGone(reader, snapshot);
  for (const point of gone) {
    rows.points.push({ kind: 'sample', series: series(point), micros: time.sealedMicros, value: null });
  }
  return points.length;
}

/** Which series a key belongs to is known only together with a value, so the keys that went are read with zeros. */
function labelsOfGone(reader: MetricSink['reader'], snapshot: Snapshot): SeriesPoint[] {
  if (snapshot.goneCount === 0) return [];
  return reader.read(snapshot.gone, new Uint8Array(snapshot.goneCount * reader.valueStrideBytes), snapshot.goneCount);
}

function pointRow(point: SeriesPoint, series: SeriesKey, micros: number): PointRow {
  if (!('buckets' in point)) return { kind: 'sample', series, micros, value: point.value };
  const { sum, count, buckets } = point;
  return { kind: 'hist', series, micros, sum, count, buckets };
}

function storeProfile(context: BatchContext, { profile, reader }: ProfileSink, snapshot: Snapshot): number {
  const { batch, run, boot, rows, time } = context;
  assertStrides(batch.header, reader, snapshot);
  const table = rows.table(PROFILE);
  const { writer } = table;
  const samples = reader.read(snapshot.keys, snapshot.values, snapshot.count);
  for (const sample of samples) {
    writer.tuple(PROFILE.columns.length);
    writer.timestamptz(time.sealedMicros);
    for (const text of [run.device, run.id, run.version, run.probe, profile.name]) writer.text(text);
    writer.text(boot);
    writer.text(profile.stacks);
    for (const id of stackIds(sample)) {
      if (id === undefined) writer.null();
      else writer.int64(BigInt(id));
    }
    jsonb(writer, canonicalLabels(sample.labels));
    writer.int64(wholeCount(sample.count));
    table.rows += 1;
  }
  return samples.length;
}

function stackIds({ kernelStackId, userStackId }: ProfileSample): (number | undefined)[] {
  return [kernelStackId, userStackId];
}

/** Strides that are not the map's would be read as other entries than the kernel wrote. */
function assertStrides(
  header: BatchHeader,
  reader: { readonly keyBytes: number; readonly valueStrideBytes: number },
  snapshot: Snapshot,
): void {
  const keyBytes = header.sections[0]?.stride;
  const goneBytes = header.sections[2]?.stride;
  const wrongGone = snapshot.goneCount > 0 && goneBytes !== reader.keyBytes;
  const wrongEntry = keyBytes !== reader.keyBytes || snapshot.valueBytes !== reader.valueStrideBytes;
  if ((snapshot.count > 0 && wrongEntry) || wrongGone) {
    throw new BatchRefused(
      'body_malformed',
      `entries of ${keyBytes} + ${snapshot.valueBytes} bytes, the map's have ${reader.keyBytes} + ${reader.valueStrideBytes}`,
    );
  }
}
