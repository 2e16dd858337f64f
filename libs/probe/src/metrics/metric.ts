import type { BpfObjectFile, Column, MapDefinition } from '@bpfleet/btf';
import { BtfError } from '@bpfleet/btf';
import { describe } from '../decode/decoder.js';
import type { ManifestIssue } from '../manifest/error.js';
import { ManifestError } from '../manifest/error.js';
import { listing } from '../manifest/listing.js';
import type { MetricManifest, ProbeManifest } from '../manifest/schema.js';
import { slotsOf } from './buckets.js';
import type { Side } from './entries.js';
import { sideOf } from './entries.js';
import type { BoundLabel } from './labels.js';
import { bindLabels, coveredBy, requireCover } from './labels.js';
import { columnNumber, elementNumber } from './number.js';

/** A metric of a manifest bound to the map of an object. */
export interface BoundMetric {
  readonly metric: MetricManifest;
  readonly map: MapDefinition;
  readonly key: Side;
  readonly value: Side;
  readonly labels: readonly BoundLabel[];
  /** The number, or for a histogram the array of slots. */
  readonly column: Column;
  readonly sum: Column | undefined;
}

/** Types whose entries user space can list and read. */
const READABLE: ReadonlySet<string> = new Set([
  'hash',
  'array',
  'percpu_hash',
  'percpu_array',
  'lru_hash',
  'lru_percpu_hash',
  'lpm_trie',
]);

/** Types whose keys are indexes, and which have all entries from the start. */
export const ARRAY_TYPES: ReadonlySet<string> = new Set(['array', 'percpu_array']);

/** @throws ManifestError when the manifest has no such metric, or it does not fit the object */
export function bindMetricOrThrow(manifest: ProbeManifest, object: BpfObjectFile, name: string): BoundMetric {
  const index = manifest.metrics.findIndex((metric) => metric.name === name);
  const metric = manifest.metrics[index];
  if (metric === undefined) {
    const message = `There is no metric \`${name}\`; the manifest has ${listing(manifest.metrics.map((m) => m.name))}.`;
    throw new ManifestError([{ path: 'metrics', message }]);
  }
  const issues: ManifestIssue[] = [];
  const bound = bindMetric(metric, object, `metrics[${index}]`, issues);
  if (bound === undefined || issues.length > 0) throw new ManifestError(issues);
  return bound;
}

export function bindMetric(
  metric: MetricManifest,
  object: BpfObjectFile,
  path: string,
  issues: ManifestIssue[],
): BoundMetric | undefined {
  const map = findMap(object, metric.map, READABLE, 'can be read as a table', `${path}.map`, issues);
  if (map === undefined) return undefined;
  const sides = readSides(object, map, metric, path, issues);
  if (sides === undefined) return undefined;
  const { key, value } = sides;
  const labels = bindLabels(metric.labels, key, path, issues);
  if (labels.length === Object.keys(metric.labels).length) {
    requireCover(key, map, coveredBy(labels), `${path}.labels`, issues);
  }
  const column = valueColumn(value, metric.value, `${path}.value`, issues);
  const sum = metric.sum === undefined ? undefined : valueColumn(value, metric.sum, `${path}.sum`, issues);
  if (sum !== undefined) requireNumber(sum, value, `${path}.sum`, issues);
  if (column === undefined) return undefined;
  if (metric.buckets === undefined) requireNumber(column, value, `${path}.value`, issues);
  else requireSlots(column, value, slotsOf(metric.buckets), `${path}.value`, issues);
  return { metric, map, key, value, labels, column, sum };
}

/** A map of one of the wanted types, or an issue that says which there are. */
export function findMap(
  object: BpfObjectFile,
  name: string,
  types: ReadonlySet<string>,
  ability: string,
  path: string,
  issues: ManifestIssue[],
): MapDefinition | undefined {
  const map = object.maps.find((m) => m.name === name);
  const fitting = object.maps.filter((m) => types.has(m.typeName)).map((m) => m.name);
  if (map !== undefined && types.has(map.typeName)) return map;
  const problem = map === undefined ? `The object has no map \`${name}\`` : `Map \`${name}\` is a ${map.typeName}`;
  issues.push({ path, message: `${problem}; the maps that ${ability} are ${listing(fitting)}.` });
  return undefined;
}

function readSides(
  object: BpfObjectFile,
  map: MapDefinition,
  metric: MetricManifest,
  path: string,
  issues: ManifestIssue[],
): { key: Side; value: Side } | undefined {
  const arms = Object.values(metric.labels).flatMap((label) => (typeof label === 'string' ? [] : [label.field ?? '']));
  const paths = [metric.value ?? '', metric.sum ?? ''];
  try {
    return {
      key: sideOf(object, map, 'key', [...arms, ...Object.keys(metric.labels)]),
      value: sideOf(object, map, 'value', paths),
    };
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    issues.push({ path: `${path}.map`, message: `Map \`${map.name}\` cannot be laid out: ${error.message}.` });
    return undefined;
  }
}

/** The column at a path, or the value itself when no path is given; a struct of one member needs no path. */
export function valueColumn(
  value: Side,
  field: string | undefined,
  path: string,
  issues: ManifestIssue[],
): Column | undefined {
  const only = value.columns.length === 1 ? value.columns[0] : undefined;
  const column = field === undefined ? only : value.columns.find((c) => c.path === field && field !== '');
  if (column !== undefined) return column;
  const members = listing(value.columns.map((c) => c.path).filter((name) => name !== ''));
  const message =
    field === undefined
      ? `The value is a struct: say which member is meant; it has ${members}.`
      : `The value has no member \`${field}\`; it has ${members}.`;
  issues.push({ path, message });
  return undefined;
}

export function requireNumber(column: Column, value: Side, path: string, issues: ManifestIssue[]): void {
  if (columnNumber(column, value.layout) !== undefined) return;
  issues.push({ path, message: `${subject(column)} is ${describe(column)}; a number is needed.` });
}

function requireSlots(
  column: Column,
  value: Side,
  slots: number | undefined,
  path: string,
  issues: ManifestIssue[],
): void {
  const element = column.element;
  if (element === undefined || elementNumber(element, value.layout.littleEndian) === undefined) {
    issues.push({ path, message: `${subject(column)} is ${describe(column)}; a histogram is an array of integers.` });
  } else if (slots !== undefined && element.count !== slots) {
    issues.push({ path, message: `${subject(column)} has ${element.count} slots; these buckets need ${slots}.` });
  }
}

function subject(column: Column): string {
  return column.path === '' ? 'The value' : `\`${column.path}\``;
}
