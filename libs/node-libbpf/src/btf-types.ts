import type { Btf, BtfValue } from '@bpfleet/btf';
import { BtfError, BtfValueError, codecOf, parseBtf } from '@bpfleet/btf';
import type { Codec } from './codec.js';
import { perCpuCodec } from './codec.js';
import { argumentError, LibbpfError, needsOf, succeed } from './errors.js';
import type { MapInfo, NativeObject } from './native.js';
import { native } from './native.js';

/** A codec that was made from BTF. */
export interface TypeCodec<Type = BtfValue> extends Codec<Type> {
  /** The type in C; of per-CPU maps, that of one CPU's value. */
  describe(): string;
}

/** @internal Where the types of a map's key and value are; an id is 0 where there is none. */
export interface MapTypes {
  readonly btf: Btf;
  readonly keyTypeId: number;
  readonly valueTypeId: number;
}

/** @internal The types of an object, read from libbpf when the first of them is asked for. */
export class ObjectTypes {
  #btf: Btf | undefined;
  #isRead = false;

  constructor(readonly object: () => NativeObject) {}

  /** Undefined for an object that was compiled without -g. Throws BPF_BTF. */
  get btf(): Btf | undefined {
    if (!this.#isRead) {
      const operation = 'read the types of the object';
      const raw = this.object().btf();
      this.#btf =
        raw === undefined
          ? undefined
          : parsed(
              operation,
              succeed('BPF_BTF', operation, () => raw),
            );
      this.#isRead = true;
    }
    return this.#btf;
  }

  of(keyTypeId: number, valueTypeId: number): MapTypes | undefined {
    const { btf } = this;
    return btf && { btf, keyTypeId, valueTypeId };
  }
}

/** @internal The types that the kernel keeps of a map (≥ 4.18; needs CAP_SYS_ADMIN); undefined when it was created without. */
export function typesInKernel(map: MapInfo): MapTypes | undefined {
  if (map.btfId === 0) return undefined;
  const operation = `read the types of map ${map.name}`;
  const raw = native.readBtf(map.btfId);
  if (typeof raw === 'number') {
    throw new LibbpfError('BPF_BTF', operation, -raw, '', needsOf(-raw, { does: 'open_by_id' }));
  }
  return { btf: parsed(operation, raw), keyTypeId: map.btfKeyTypeId, valueTypeId: map.btfValueTypeId };
}

/** @internal Throws BPF_BTF for a map without types. */
export function mapCodec<Type>(
  map: { name: string; type: string; keyBytes: number; perCpu: boolean },
  side: 'key' | 'value',
  types: MapTypes | undefined,
): TypeCodec<Type> {
  const operation = `type the ${side}s of map ${map.name}`;
  const refuse = (detail: string) => new LibbpfError('BPF_BTF', operation, 0, detail);
  if (side === 'key' && map.keyBytes === 0) throw refuse(`a ${map.type} map has no keys`);
  const id = side === 'key' ? types?.keyTypeId : types?.valueTypeId;
  if (types === undefined || id === undefined || id === 0) {
    throw refuse(`the map has no BTF for them: declare it with __type(${side}, …), or give a codec`);
  }
  if (types.btf.resolve(id).kind === 'datasec') throw refuse('it holds global variables: see BpfObject.globals');
  const codec = typeCodec<unknown>(`encode a ${side} of map ${map.name}`, side, types.btf, id);
  if (side === 'key' || !map.perCpu) return codec as TypeCodec<Type>;
  return { ...perCpuCodec(codec), describe: () => codec.describe() } as unknown as TypeCodec<Type>;
}

/**
 * @internal The codec of a type, with the errors of this library: `operation` is what encoding is for, `name` what errors
 * call the value. Throws BPF_BTF for types that have no values.
 */
export function typeCodec<Type>(operation: string, name: string, btf: Btf, typeId: number): TypeCodec<Type> {
  const codec = translated(operation, () => codecOf<Type>(btf, typeId, { name }));
  return {
    bytes: codec.bytes,
    encode: (value, target, offset) => translated(operation, () => codec.encode(value, target, offset)),
    decode: (source, offset) => codec.decode(source, offset),
    describe: () => translated(operation, () => codec.describe()),
  };
}

function parsed(operation: string, raw: Uint8Array): Btf {
  return translated(operation, () => parseBtf(raw));
}

/** @internal Runs something of libs/btf; its errors become those of this library: a wrong value is the caller's mistake. */
export function translated<Result>(operation: string, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    if (error instanceof BtfValueError) throw argumentError(operation, error.message);
    throw error instanceof BtfError ? new LibbpfError('BPF_BTF', operation, 0, error.message) : error;
  }
}
