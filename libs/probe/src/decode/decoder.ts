import type { Column, PgType } from '@bpfleet/btf';
import { pgTypeOf } from '@bpfleet/btf';
import type { DeviceDecoder, LabelDecoder } from '../manifest/schema.js';
import { DEVICE_DECODERS } from '../manifest/schema.js';
import { addressText } from '../names/address.js';
import { ERRNO_NAMES } from '../names/errno.js';
import { compatSyscallName, syscallName } from '../names/syscalls.js';

/** What a manifest says about one field: a decoder's name, or the decoder with its values. */
export interface DecoderSpec {
  readonly decode: LabelDecoder;
  readonly values?: Readonly<Record<string, string>> | undefined;
}

/** A field and its decoder, ready to be read. */
export interface DecodedColumn {
  /** The column in the form that the decoder reads: an IPv4 address is four bytes, whatever C calls it. */
  readonly column: Column;
  readonly pgType: PgType;
  /** Text out of the column's value; undefined when the value is to be taken as it is. */
  readonly toText?: (value: unknown, arch: string) => string;
  readonly dictionary?: DeviceDecoder;
}

type Refusal = { readonly refused: string };

/** Binds a field to its decoder, or says in words why the two do not go together. */
export function bindDecoder(column: Column, spec: DecoderSpec | undefined): DecodedColumn | Refusal {
  if (spec === undefined) {
    const pgType = pgTypeOf(column);
    return pgType === undefined ? { refused: column.reason ?? 'cannot be read' } : { column, pgType };
  }
  switch (spec.decode) {
    case 'string':
      return asText(column);
    case 'ipv4':
      return asAddress(column, 32);
    case 'ipv6':
      return asAddress(column, 128);
    case 'port':
      return asPort(column);
    case 'signed':
    case 'unsigned':
      return asNumber(column, spec.decode === 'signed');
    case 'hex':
      return asHex(column);
    default:
      return asNamed(column, spec);
  }
}

export function isRefusal(bound: DecodedColumn | Refusal): bound is Refusal {
  return 'refused' in bound;
}

/** The short form `comm: string` and the long one. */
export function decoderSpec(
  spec: LabelDecoder | { decode: LabelDecoder; values?: Record<string, string> | undefined },
): DecoderSpec {
  return typeof spec === 'string' ? { decode: spec } : { decode: spec.decode, values: spec.values };
}

function isInteger(column: Column): boolean {
  return column.kind === 'int' || column.kind === 'uint' || column.kind === 'enum' || column.kind === 'bool';
}

function isByteAligned(column: Column): boolean {
  return !column.bitfield && column.offsetBits % 8 === 0;
}

function needsInteger(column: Column): Refusal {
  return { refused: `is ${describe(column)}, and this decoder reads integers` };
}

function asText(column: Column): DecodedColumn | Refusal {
  if (column.kind !== 'text' && column.kind !== 'bytes') {
    return { refused: `is ${describe(column)}, and \`string\` reads arrays of char` };
  }
  return { column: { ...column, kind: 'text' }, pgType: 'text', toText: String };
}

function asAddress(column: Column, bits: 32 | 128): DecodedColumn | Refusal {
  if (column.bits !== bits || !isByteAligned(column) || column.kind === 'float') {
    return {
      refused: `is ${describe(column)}, and an address of IPv${bits === 32 ? 4 : 6} has ${bits / 8} bytes in network order`,
    };
  }
  const bytes: Column = { ...column, kind: 'bytes' };
  return { column: bytes, pgType: 'inet', toText: (value) => addressText(value as Uint8Array) };
}

/** Two bytes in network order, as the kernel keeps ports; a port that the program has turned around is a plain number. */
function asPort(column: Column): DecodedColumn | Refusal {
  if (column.bits !== 16 || !isByteAligned(column)) {
    return { refused: `is ${describe(column)}, and \`port\` reads two bytes in network order` };
  }
  const toText = (value: unknown): string =>
    String(((value as Uint8Array)[0] ?? 0) * 256 + ((value as Uint8Array)[1] ?? 0));
  return { column: { ...column, kind: 'bytes' }, pgType: 'int4', toText };
}

function asNumber(column: Column, signed: boolean): DecodedColumn | Refusal {
  if (!isInteger(column)) return needsInteger(column);
  const number: Column = { ...column, kind: signed ? 'int' : 'uint' };
  return { column: number, pgType: pgTypeOf(number) as PgType };
}

function asHex(column: Column): DecodedColumn | Refusal {
  if (column.kind === 'bytes' || column.kind === 'text') {
    return { column: { ...column, kind: 'bytes' }, pgType: 'text', toText: hexText };
  }
  if (!isInteger(column)) return needsInteger(column);
  return { column: { ...column, kind: 'uint' }, pgType: 'text', toText: hexText };
}

function asNamed(column: Column, spec: DecoderSpec): DecodedColumn | Refusal {
  if (!isInteger(column)) return needsInteger(column);
  const mayBeNegative = column.kind === 'int' || (column.kind === 'enum' && column.signed === true);
  const signed = mayBeNegative && spec.decode !== 'majorminor';
  const number: Column = { ...column, kind: signed ? 'int' : 'uint' };
  const device = DEVICE_DECODERS.find((decoder) => decoder === spec.decode);
  if (device !== undefined) return { column: number, pgType: pgTypeOf(number) as PgType, dictionary: device };
  return { column: number, pgType: 'text', toText: namer(spec) };
}

function namer(spec: DecoderSpec): (value: unknown, arch: string) => string {
  switch (spec.decode) {
    case 'errno':
      return (value) => errnoText(Number(value));
    case 'majorminor':
      return (value) => deviceNumberText(BigInt(value as bigint));
    case 'syscall':
      return (value, arch) => syscallName(arch, Number(value)) ?? String(value);
    case 'syscall_compat':
      return (value, arch) => compatSyscallName(arch, Number(value)) ?? String(value);
    default: {
      const values = new Map(Object.entries(spec.values ?? {}));
      return (value) => values.get(String(value)) ?? String(value);
    }
  }
}

/** Kernel functions return errors as negative numbers; both signs are read. */
function errnoText(value: number): string {
  return ERRNO_NAMES[Math.abs(value)] ?? String(value);
}

/** The kernel's own dev_t: 12 bits of major above 20 bits of minor. */
function deviceNumberText(value: bigint): string {
  return `${value >> 20n}:${value & 0xfffffn}`;
}

export function hexText(value: unknown): string {
  if (value instanceof Uint8Array) return Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `0x${BigInt(value as bigint).toString(16)}`;
}

export function describe(column: Column): string {
  switch (column.kind) {
    case 'int':
    case 'uint':
      return `${column.kind === 'int' ? 'a signed' : 'an unsigned'} integer of ${column.bits} bits`;
    case 'text':
      return column.flexible ? 'a char array' : `a char array of ${column.bits / 8}`;
    case 'bytes':
      return column.flexible ? 'an array of bytes' : `an array of ${column.bits / 8} bytes`;
    case 'array':
      return `an array of ${column.element?.count ?? 0} numbers`;
    case 'enum':
      return 'an enum';
    case 'opaque':
      return (column.reason ?? 'something else').replace(/^is /, '');
    default:
      return `a ${column.kind}`;
  }
}
