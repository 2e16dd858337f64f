import type { Layout, MapDefinition } from '@bpfleet/btf';
import { columnReader } from '@bpfleet/btf';
import type { DecodedColumn } from '../decode/decoder.js';
import { bindDecoder, decoderSpec, hexText, isRefusal } from '../decode/decoder.js';
import type { ManifestIssue } from '../manifest/error.js';
import { listing } from '../manifest/listing.js';
import type { MetricManifest } from '../manifest/schema.js';
import type { ReaderContext } from '../types.js';
import type { Side } from './entries.js';

export interface BoundLabel {
  readonly name: string;
  readonly decoded: DecodedColumn;
}

/** Binds labels to fields of the key: those of a struct by name, a key that is a single value by being the only label. */
export function bindLabels(
  labels: MetricManifest['labels'],
  key: Side,
  path: string,
  issues: ManifestIssue[],
): BoundLabel[] {
  const names = Object.keys(labels);
  const issue = (name: string, message: string): void => void issues.push({ path: `${path}.labels.${name}`, message });
  return names.flatMap((name) => {
    const label = labels[name];
    if (label === undefined) return [];
    const given = typeof label === 'string' ? undefined : label.field;
    if (!key.isStruct && (names.length > 1 || given !== undefined)) {
      issue(name, 'The key of this map is a single value: give it one label, without a field.');
      return [];
    }
    const field = key.isStruct ? (given ?? name) : '';
    const column = key.columns.find((c) => c.path === field);
    if (column === undefined) {
      const members = listing(key.columns.map((c) => c.path));
      issue(
        name,
        key.isStruct
          ? `The key has no member \`${field}\`; it has ${members}.`
          : 'The key of this map has no type in BTF: declare it with __type(key, …).',
      );
      return [];
    }
    const decoded = bindDecoder(column, decoderSpec(label));
    if (!isRefusal(decoded)) return [{ name, decoded }];
    issue(name, `${field === '' ? 'The key' : `\`${field}\``} cannot be decoded so: it ${decoded.refused}.`);
    return [];
  });
}

/** Paths of the key's members that have a label. */
export function coveredBy(labels: readonly BoundLabel[]): Set<string> {
  return new Set(labels.map(({ decoded }) => decoded.column.path));
}

/**
 * Every member of the key must be told apart by something. A snapshot carries only the entries that changed, so a sum over
 * entries that look alike would be a sum over some of them, and jump.
 */
export function requireCover(
  key: Side,
  map: MapDefinition,
  covered: ReadonlySet<string>,
  path: string,
  issues: ManifestIssue[],
): void {
  if (map.maxEntries <= 1) return;
  const missing = key.columns.map((c) => c.path).filter((name) => !covered.has(name));
  if (missing.length === 0) return;
  const message = key.isStruct
    ? `Entries that differ only in ${listing(missing)} would look alike: give ${missing.length > 1 ? 'each' : 'it'} a label, or take ${missing.length > 1 ? 'them' : 'it'} out of the key.`
    : `Map \`${map.name}\` has up to ${map.maxEntries} entries that would look alike: give its key a label.`;
  issues.push({ path, message });
}

export type LabelReader = (view: DataView, offset: number) => Record<string, string>;

export function labelReader(labels: readonly BoundLabel[], layout: Layout, context: ReaderContext): LabelReader {
  const readers = labels.map(({ name, decoded }) => {
    const read = columnReader(layout, decoded.column);
    return {
      name,
      read: (view: DataView, offset: number) => labelText(decoded, read(view, offset, layout.bytesMin), context),
    };
  });
  return (view, offset) => Object.fromEntries(readers.map(({ name, read }) => [name, read(view, offset)]));
}

function labelText({ toText, dictionary }: DecodedColumn, value: unknown, context: ReaderContext): string {
  if (toText !== undefined) return toText(value, context.arch);
  if (dictionary === undefined) return String(value);
  return context.dictionary?.(dictionary, String(value)) ?? (dictionary === 'ksym' ? hexText(value) : String(value));
}

/** A key for maps of points: the labels of one reader always come in one order, so that their values are enough. */
export function labelKey(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.values(labels));
}
