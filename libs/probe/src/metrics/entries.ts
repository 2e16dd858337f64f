import type { BpfObjectFile, Column, Layout, MapDefinition } from '@bpfleet/btf';
import { BtfError, columnOf, columnsOf } from '@bpfleet/btf';

/** A map's key or value as columns: those of its struct, or one nameless column for anything else. */
export interface Side {
  readonly layout: Layout;
  /** Empty paths mean the whole: the key or value is not a struct. */
  readonly columns: readonly Column[];
  readonly isStruct: boolean;
}

const WORDS: ReadonlySet<number> = new Set([1, 2, 4, 8]);

/**
 * Maps that are declared by sizes alone have no types: one word then counts as an unsigned integer, and anything else
 * has no columns.
 * @throws BtfError when the type cannot be laid out
 */
export function sideOf(
  object: BpfObjectFile,
  map: MapDefinition,
  side: 'key' | 'value',
  arms: Iterable<string> = [],
): Side {
  const typeId = side === 'key' ? map.keyTypeId : map.valueTypeId;
  const bytes = side === 'key' ? map.keyBytes : map.valueBytes;
  const layout = { littleEndian: object.littleEndian, bytesMin: bytes };
  if (typeId === undefined) return { layout, columns: WORDS.has(bytes) ? [word(bytes)] : [], isStruct: false };
  const type = object.btf.resolve(typeId);
  if (type.kind === 'struct' || type.kind === 'union') {
    return { layout, columns: columnsOf(object.btf, typeId, { arms }), isStruct: true };
  }
  return { layout, columns: [{ ...columnOf(object.btf, typeId, side), path: '' }], isStruct: false };
}

function word(bytes: number): Column {
  return {
    name: 'word',
    path: '',
    typeId: 0,
    offsetBits: 0,
    bits: bytes * 8,
    kind: 'uint',
    bitfield: false,
    flexible: false,
  };
}

/** Where the entries of a snapshot lie, and how many there are; per-CPU values are slots rounded up to 8 bytes. */
export class Entries {
  readonly keyBytes: number;
  readonly slotBytes: number;
  readonly slots: number;
  readonly valueStrideBytes: number;

  constructor(map: MapDefinition, cpus: number) {
    this.keyBytes = map.keyBytes;
    this.slotBytes = map.perCpu ? Math.ceil(map.valueBytes / 8) * 8 : map.valueBytes;
    this.slots = map.perCpu ? cpus : 1;
    this.valueStrideBytes = this.slotBytes * this.slots;
  }

  /** @throws BtfError RECORD_SHORT */
  check(keys: Uint8Array, values: Uint8Array, count: number): void {
    if (keys.length >= count * this.keyBytes && values.length >= count * this.valueStrideBytes) return;
    throw new BtfError(
      'RECORD_SHORT',
      `${keys.length} bytes of keys and ${values.length} of values are not ${count} entries of ` +
        `${this.keyBytes} and ${this.valueStrideBytes}`,
    );
  }

  isZero(values: Uint8Array, index: number): boolean {
    const start = index * this.valueStrideBytes;
    for (let at = start; at < start + this.valueStrideBytes; at += 1) if (values[at] !== 0) return false;
    return true;
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
