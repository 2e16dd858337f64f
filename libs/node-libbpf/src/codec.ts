import { endianness } from 'node:os';
import { requireInteger } from './arguments.js';
import { argumentError } from './errors.js';
import { possibleCpus } from './system.js';

/** How a caller's type lies in `bytes` bytes of a map's key or value, in the byte order of this machine. */
export interface Codec<Type> {
  readonly bytes: number;
  encode(value: Type, target: Buffer, offset: number): void;
  decode(source: Buffer, offset: number): Type;
}

const littleEndian = endianness() === 'LE';

export const u32Codec: Codec<number> = {
  bytes: 4,
  encode: (value, target, offset) =>
    void (littleEndian ? target.writeUInt32LE(value, offset) : target.writeUInt32BE(value, offset)),
  decode: (source, offset) => (littleEndian ? source.readUInt32LE(offset) : source.readUInt32BE(offset)),
};

export const u64Codec: Codec<bigint> = {
  bytes: 8,
  encode: (value, target, offset) =>
    void (littleEndian ? target.writeBigUInt64LE(value, offset) : target.writeBigUInt64BE(value, offset)),
  decode: (source, offset) => (littleEndian ? source.readBigUInt64LE(offset) : source.readBigUInt64BE(offset)),
};

/** The values of a per-CPU map, one for each possible CPU, from the codec of one. */
export function perCpuCodec<Type>(codec: Codec<Type>, cpus: number = possibleCpus()): Codec<Type[]> {
  requireInteger('make a per-CPU codec', 'cpus', cpus, 1, 1 << 16);
  // The kernel's own layout: each value at a multiple of 8.
  const stride = Math.ceil(codec.bytes / 8) * 8;
  return {
    bytes: stride * cpus,
    encode: (values, target, offset) => {
      if (values.length !== cpus) throw new RangeError(`expected ${cpus} values, one a CPU, not ${values.length}`);
      values.forEach((value, cpu) => codec.encode(value, target, offset + cpu * stride));
    },
    decode: (source, offset) => Array.from({ length: cpus }, (_, cpu) => codec.decode(source, offset + cpu * stride)),
  };
}

/** @internal Throws BPF_ARGUMENT unless the codec is for as many bytes as the map has. */
export function requireCodec<Type>(operation: string, side: string, codec: Codec<Type>, bytes: number): Codec<Type> {
  if (codec.bytes === bytes) return codec;
  throw argumentError(operation, `the ${side} codec has ${codec.bytes} bytes, the map ${bytes}`);
}

/** @internal Without a codec, a value is its bytes. */
export function toBytes<Type>(codec: Codec<Type> | undefined, value: Type): Buffer {
  return codec === undefined ? (value as Buffer) : encoded(codec, value);
}

/** @internal */
export function fromBytes<Type>(codec: Codec<Type> | undefined, bytes: Buffer | undefined): Type | undefined {
  return codec === undefined || bytes === undefined ? (bytes as Type | undefined) : codec.decode(bytes, 0);
}

/** @internal One value as bytes of its own. */
export function encoded<Type>(codec: Codec<Type>, value: Type): Buffer {
  const bytes = Buffer.alloc(codec.bytes);
  codec.encode(value, bytes, 0);
  return bytes;
}
