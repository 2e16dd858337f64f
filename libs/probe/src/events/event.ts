import type { BpfObjectFile, Column, Layout } from '@bpfleet/btf';
import { BtfError, columnsOf } from '@bpfleet/btf';
import type { DecodedColumn } from '../decode/decoder.js';
import { bindDecoder, decoderSpec, describe, isRefusal } from '../decode/decoder.js';
import type { ManifestIssue } from '../manifest/error.js';
import { ManifestError } from '../manifest/error.js';
import { listing } from '../manifest/listing.js';
import type { EventManifest, ProbeManifest } from '../manifest/schema.js';
import type { EventColumn } from '../types.js';

/** Columns that every event table has before the event's own. */
export const FIXED_COLUMNS = ['ts', 'device', 'release', 'run'] as const;
/** A table has 128 columns at most. */
const EVENT_COLUMNS_MAX = 128 - FIXED_COLUMNS.length;
/** The largest record that a batch can carry beside its header. */
const EVENT_BYTES_MAX = 64 * 1024;
const COLUMN_NAME = /^[a-z_][a-z0-9_]{0,62}$/;
const RING_TYPES: ReadonlySet<string> = new Set(['ringbuf', 'perf_event_array']);
/** What BPFLEET_EVENT() of bpfleet.bpf.h names its anchors. */
const EVENT_ANCHOR = 'bpfleet_event_';

/** An event of a manifest bound to the struct of an object. */
export interface BoundEvent {
  readonly event: EventManifest;
  readonly layout: Layout;
  readonly columns: readonly (EventColumn & { readonly decoded: DecodedColumn })[];
  readonly time: Column | undefined;
  readonly discriminator: { readonly column: Column; readonly equals: number } | undefined;
}

/** @throws ManifestError when the manifest has no such event, or it does not fit the object */
export function bindEventOrThrow(manifest: ProbeManifest, object: BpfObjectFile, name: string): BoundEvent {
  const index = manifest.events.findIndex((event) => event.name === name);
  const event = manifest.events[index];
  if (event === undefined) {
    const message = `There is no event \`${name}\`; the manifest has ${listing(manifest.events.map((e) => e.name))}.`;
    throw new ManifestError([{ path: 'events', message }]);
  }
  const issues: ManifestIssue[] = [];
  const bound = bindEvent(event, object, `events[${index}]`, issues);
  if (bound === undefined || issues.length > 0) throw new ManifestError(issues);
  return bound;
}

/** The columns of an event's table, in the order of the struct; the time and the discriminator are not among them. */
export function eventColumns(manifest: ProbeManifest, object: BpfObjectFile, eventName: string): EventColumn[] {
  return bindEventOrThrow(manifest, object, eventName).columns.map(({ decoded: _decoded, ...column }) => column);
}

export function bindEvent(
  event: EventManifest,
  object: BpfObjectFile,
  path: string,
  issues: ManifestIssue[],
): BoundEvent | undefined {
  checkRing(event, object, path, issues);
  const struct = object.btf.findByName('struct', event.struct);
  if (struct === undefined) {
    const message =
      `The object has no struct \`${event.struct}\`; it declares ${listing(declaredEvents(object))}. ` +
      `Put BPFLEET_EVENT(${event.struct}); behind the struct, else the compiler leaves it out.`;
    issues.push({ path: `${path}.struct`, message });
    return undefined;
  }
  let columns: Column[];
  try {
    columns = columnsOf(object.btf, struct.id, { arms: Object.keys(event.fields) });
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    issues.push({
      path: `${path}.struct`,
      message: `struct \`${event.struct}\` cannot be laid out: ${error.message}.`,
    });
    return undefined;
  }
  if (struct.bytes > EVENT_BYTES_MAX) {
    issues.push({
      path: `${path}.struct`,
      message: `struct \`${event.struct}\` is larger than ${EVENT_BYTES_MAX} bytes.`,
    });
  }
  const binder = new EventBinder(event, columns, path, issues);
  return {
    event,
    layout: { littleEndian: object.littleEndian, bytesMin: struct.bytes },
    time: binder.time(),
    discriminator: binder.discriminator(),
    columns: binder.columns(),
  };
}

function checkRing(event: EventManifest, object: BpfObjectFile, path: string, issues: ManifestIssue[]): void {
  const rings = object.maps.filter((map) => RING_TYPES.has(map.typeName)).map((map) => map.name);
  if (rings.includes(event.map)) return;
  const known = object.maps.some((map) => map.name === event.map);
  const problem = known ? `Map \`${event.map}\` is not a ring buffer` : `The object has no map \`${event.map}\``;
  issues.push({ path: `${path}.map`, message: `${problem}; its ring buffers are ${listing(rings)}.` });
}

/** Structs that BPFLEET_EVENT() keeps. */
function declaredEvents(object: BpfObjectFile): string[] {
  const section = object.btf.findByName('datasec', '.bpfleet.events');
  return (section?.variables ?? []).map(({ typeId }) => object.btf.typeById(typeId).name.replace(EVENT_ANCHOR, ''));
}

class EventBinder {
  constructor(
    readonly event: EventManifest,
    readonly all: readonly Column[],
    readonly path: string,
    readonly issues: ManifestIssue[],
  ) {}

  time(): Column | undefined {
    if (this.event.time === undefined) return undefined;
    const column = this.#find(this.event.time.field, 'time.field');
    if (column === undefined || (column.kind === 'uint' && column.bits === 64)) return column;
    this.#issue(
      'time.field',
      `\`${column.path}\` is ${describe(column)}; a time is an unsigned integer of 64 bits, in nanoseconds.`,
    );
    return undefined;
  }

  discriminator(): { column: Column; equals: number } | undefined {
    if (this.event.when === undefined) return undefined;
    const column = this.#find(this.event.when.field, 'when.field');
    if (column === undefined) return undefined;
    const number: Column = column.kind === 'enum' ? { ...column, kind: 'uint' } : column;
    if (number.kind === 'uint' && number.bits <= 32) return { column: number, equals: this.event.when.equals };
    this.#issue(
      'when.field',
      `\`${column.path}\` is ${describe(column)}; a discriminator is an unsigned integer of up to 32 bits.`,
    );
    return undefined;
  }

  columns(): BoundEvent['columns'] {
    const apart = new Set([this.event.time?.field, this.event.when?.field]);
    for (const field of Object.keys(this.event.fields)) this.#find(field, `fields.${field}`);
    const bound = this.all.filter((column) => !apart.has(column.path)).flatMap((column) => this.#column(column));
    if (bound.length > EVENT_COLUMNS_MAX) {
      this.#issue(
        'struct',
        `struct \`${this.event.struct}\` makes ${bound.length} columns; a table holds ${EVENT_COLUMNS_MAX}.`,
      );
    }
    this.#checkNames(bound);
    return bound;
  }

  #column(column: Column): BoundEvent['columns'][number][] {
    const given = this.event.fields[column.path];
    const decoded = bindDecoder(column, given === undefined ? undefined : decoderSpec(given));
    if (isRefusal(decoded)) {
      const hint =
        column.reason?.startsWith('is a union') === true
          ? `; name the arm that is used in \`fields\`, as \`${column.path}.…\``
          : '';
      this.#issue(
        given === undefined ? 'struct' : `fields.${column.path}`,
        `\`${column.path}\` cannot be a column: it ${decoded.refused}${hint}.`,
      );
      return [];
    }
    const { pgType, dictionary } = decoded;
    const name = column.name.toLowerCase();
    return [{ name, pgType, source: column, decoded, ...(dictionary === undefined ? {} : { dictionary }) }];
  }

  #checkNames(columns: BoundEvent['columns']): void {
    const taken = new Map<string, string>(FIXED_COLUMNS.map((name) => [name, 'a column that every event has']));
    for (const { name, source } of columns) {
      const other = taken.get(name);
      if (!COLUMN_NAME.test(name) || name === '__proto__')
        this.#issue(
          'struct',
          `\`${source.path}\` makes the column name \`${name}\`, which is longer than 63 characters or not plain.`,
        );
      else if (other !== undefined)
        this.#issue(
          'struct',
          `\`${source.path}\` would be the column \`${name}\`, which is ${other}; rename the member.`,
        );
      taken.set(name, `also the column of \`${source.path}\``);
    }
  }

  #find(path: string, where: string): Column | undefined {
    const column = this.all.find((c) => c.path === path);
    if (column !== undefined) return column;
    const names = listing(this.all.map((c) => c.path));
    this.#issue(where, `struct \`${this.event.struct}\` has no member \`${path}\`; it has ${names}.`);
    return undefined;
  }

  #issue(where: string, message: string): void {
    this.issues.push({ path: `${this.path}.${where}`, message: message.charAt(0).toUpperCase() + message.slice(1) });
  }
}
