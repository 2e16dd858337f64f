import type { Codec } from './codec.js';
import { encoded, requireCodec } from './codec.js';
import type { BpfMap } from './map.js';

/** A map through codecs. Lives as long as the BpfMap that it views; made by BpfMap.typed(). */
export class TypedMap<Key, Value> {
  readonly map: BpfMap;
  readonly #key: Codec<Key>;
  readonly #value: Codec<Value>;

  /** @internal */
  constructor(map: BpfMap, codecs: { key: Codec<Key>; value: Codec<Value> }) {
    const operation = `view ${map.name}`;
    this.map = map;
    this.#key = requireCodec(operation, 'key', codecs.key, map.keyBytes);
    this.#value = requireCodec(operation, 'value', codecs.value, map.valueBufferBytes);
  }

  get(key: Key): Value | undefined {
    const value = this.map.lookup(encoded(this.#key, key));
    return value === undefined ? undefined : this.#value.decode(value, 0);
  }

  /** Flags: 0 any, 1 only new, 2 only existing. */
  set(key: Key, value: Value, flags = 0): void {
    this.map.update(encoded(this.#key, key), encoded(this.#value, value), flags);
  }

  /** Whether there was an entry. */
  delete(key: Key): boolean {
    return this.map.delete(encoded(this.#key, key));
  }

  /** All entries in as few calls as the kernel allows. */
  setMany(entries: ReadonlyArray<readonly [Key, Value]>, flags = 0): void {
    const keys = Buffer.alloc(entries.length * this.#key.bytes);
    const values = Buffer.alloc(entries.length * this.#value.bytes);
    entries.forEach(([key, value], index) => {
      this.#key.encode(key, keys, index * this.#key.bytes);
      this.#value.encode(value, values, index * this.#value.bytes);
    });
    this.map.updateMany(keys, values, flags);
  }

  /** Returns how many of the keys were there. */
  deleteMany(keys: readonly Key[]): number {
    const bytes = Buffer.alloc(keys.length * this.#key.bytes);
    keys.forEach((key, index) => this.#key.encode(key, bytes, index * this.#key.bytes));
    return this.map.deleteMany(bytes);
  }

  /** One pass, at once; see BpfMap.readAll for what concurrent writers do to it. */
  readAll(options: { entriesMax?: number } = {}): Array<[Key, Value]> {
    const { count, keys, values } = this.map.readAll(options);
    return Array.from({ length: count }, (_, index) => this.#entry(keys, values, index));
  }

  /** One pass in bounded chunks, with turns of the event loop between them. */
  async *entries(options: { chunkEntries?: number } = {}): AsyncGenerator<[Key, Value], void, undefined> {
    for await (const { count, keys, values } of this.map.chunks(options)) {
      for (let index = 0; index < count; index++) yield this.#entry(keys, values, index);
    }
  }

  #entry(keys: Buffer, values: Buffer, index: number): [Key, Value] {
    return [this.#key.decode(keys, index * this.#key.bytes), this.#value.decode(values, index * this.#value.bytes)];
  }
}
