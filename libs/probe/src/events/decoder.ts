import type { BpfObjectFile, CopyColumn } from '@bpfleet/btf';
import { columnReader, copyEncoder, rowDecoder } from '@bpfleet/btf';
import type { DecodedColumn } from '../decode/decoder.js';
import { hexText } from '../decode/decoder.js';
import type { ProbeManifest } from '../manifest/schema.js';
import type { EventDecoder } from '../types.js';
import type { BoundEvent } from './event.js';
import { bindEventOrThrow } from './event.js';

/**
 * Everything that is done with the records of one event, generated for one release and one architecture.
 * @throws ManifestError when the manifest has no such event, or it does not fit the object
 */
export function eventDecoder(
  manifest: ProbeManifest,
  object: BpfObjectFile,
  eventName: string,
  context: { readonly arch: string },
): EventDecoder {
  const bound = bindEventOrThrow(manifest, object, eventName);
  const { layout, time, discriminator } = bound;
  const readTime = time === undefined ? undefined : columnReader(layout, time);
  const readKind = discriminator === undefined ? undefined : columnReader(layout, discriminator.column);
  const fits = (view: DataView, offset: number, bytes: number): boolean =>
    bytes >= layout.bytesMin && offset >= 0 && offset + bytes <= view.byteLength;
  return {
    columns: bound.columns.map(({ decoded: _decoded, ...column }) => column),
    bytesMin: layout.bytesMin,
    clock: bound.event.time?.clock,
    matches: (view, offset, bytes) =>
      fits(view, offset, bytes) && (readKind === undefined || readKind(view, offset, bytes) === discriminator?.equals),
    timeNs: (view, offset) => readTime?.(view, offset, layout.bytesMin) as bigint | undefined,
    toObject: rowDecoder(
      layout,
      bound.columns.map(({ name, decoded }) => ({ name, column: decoded.column, map: jsonMap(decoded, context.arch) })),
    ),
    encode: copyEncoder(layout, copyColumns(bound, context.arch)),
  };
}

/** Fields whose Postgres type is the value's own are written without a detour; only named values become text first. */
function copyColumns(bound: BoundEvent, arch: string): CopyColumn[] {
  return bound.columns.map(({ decoded }) => {
    const { column, pgType, toText } = decoded;
    if (toText === undefined || pgType === 'inet' || column.kind === 'text') return { column, pgType };
    if (pgType === 'int4') return { column, pgType, map: (value) => Number(toText(value, arch)) };
    return { column, pgType, map: (value) => toText(value, arch) };
  });
}

function jsonMap({ toText, pgType }: DecodedColumn, arch: string): (value: unknown) => unknown {
  if (toText === undefined) return jsonValue;
  if (pgType === 'int4') return (value) => Number(toText(value, arch));
  return (value) => toText(value, arch);
}

/** Numbers when they are exact, else decimal text. */
function jsonValue(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (value instanceof Uint8Array) return hexText(value);
  if (Array.isArray(value)) return value.map(jsonValue);
  if (typeof value === 'number' && !Number.isFinite(value)) return null;
  return value;
}
