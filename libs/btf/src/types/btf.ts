import { BtfError } from '../error.js';
import { endlessChain } from './endless.js';
import type { HeaderOptions } from './print-header.js';
import { printHeader } from './print-header.js';
import { printDeclaration, printType } from './print.js';
import { decodeRecord } from './record.js';
import type { RawBtf } from './record.js';
import type { BtfKind, BtfType, TypeOfKind } from './types.js';
import { BTF_KINDS } from './types.js';
import { LONG_NAMES } from './long-names.js';
import { NameIndex } from './name-index.js';

/** Steps through typedefs, qualifiers and nested arrays before a chain counts as endless; the kernel's own limit is 32. */
const RESOLVE_STEPS_MAX = 64;

/**
 * The types of one object, kernel or module. Records stay as bytes and are decoded when asked for, so that a kernel's
 * 150,000 types cost a few bytes each until they are used. Instances are immutable and hold no resources.
 */
export class Btf {
  readonly #raw: RawBtf;
  readonly #cache = new Map<number, BtfType>();
  #names: NameIndex | undefined;
  #pointerBytes: 4 | 8 | undefined;

  /** Use {@link parseBtf}. */
  constructor(
    raw: RawBtf,
    readonly base: Btf | undefined,
  ) {
    this.#raw = raw;
  }

  get littleEndian(): boolean {
    return this.#raw.littleEndian;
  }

  /** Ids run from 1 to `typeCount − 1`; 0 is `void`. Types of the base are included. */
  get typeCount(): number {
    return this.#raw.firstId + this.#raw.offsets.length;
  }

  /** The first id that is not in the base. */
  get firstId(): number {
    return this.#raw.firstId;
  }

  /** Every type in the order of ids, the base's first; `void` is left out. */
  *types(): Generator<BtfType> {
    for (let id = 1; id < this.typeCount; id += 1) yield this.typeById(id);
  }

  /** @throws BtfError BTF_NOT_FOUND, or BTF_INVALID when the record itself is malformed */
  typeById(id: number): BtfType {
    if (this.base !== undefined && id < this.firstId) return this.base.typeById(id);
    const cached = this.#cache.get(id);
    if (cached !== undefined) return cached;
    const type = decodeRecord(this.#raw, id);
    this.#cache.set(id, type);
    return type;
  }

  /** The first type of that kind and name, own types before the base's. */
  findByName<K extends BtfKind>(kind: K, name: string): TypeOfKind<K> | undefined {
    const id = this.idsByName(kind, name)[0];
    return id === undefined ? undefined : (this.typeById(id) as TypeOfKind<K>);
  }

  /** All ids with that kind and name, own types before the base's. */
  idsByName(kind: BtfKind, name: string): readonly number[] {
    this.#names ??= new NameIndex(this.#raw);
    const own = this.#names.idsOf(kind, name);
    return this.base === undefined ? own : [...own, ...this.base.idsByName(kind, name)];
  }

  /** All ids of that kind whose name is `name` or a flavour of it (`name___anything`), own types before the base's. */
  idsByEssentialName(kind: BtfKind, name: string): readonly number[] {
    this.#names ??= new NameIndex(this.#raw);
    const own = [name, ...this.#names.flavoursOf(name)].flatMap((each) => this.#names?.idsOf(kind, each) ?? []);
    return this.base === undefined ? own : [...own, ...this.base.idsByEssentialName(kind, name)];
  }

  /**
   * The type behind typedefs, qualifiers and type tags (not behind pointers).
   * @throws BtfError BTF_LAYOUT when the chain does not end
   */
  resolve(id: number): BtfType {
    let type = this.typeById(id);
    for (let step = 0; step < RESOLVE_STEPS_MAX; step += 1) {
      switch (type.kind) {
        case 'typedef':
        case 'volatile':
        case 'const':
        case 'restrict':
        case 'type_tag':
        case 'var':
          type = this.typeById(type.typeId);
          break;
        default:
          return type;
      }
    }
    throw new BtfError('BTF_LAYOUT', `type ${id} is a chain of more than ${RESOLVE_STEPS_MAX} names and qualifiers`);
  }

  /**
   * An id of this blob on which {@link resolve} throws, because names and qualifiers that follow each other come to no end;
   * undefined where there is none. A reader that does not count its steps hangs there.
   */
  get endlessChain(): number | undefined {
    return endlessChain(this.#raw, RESOLVE_STEPS_MAX);
  }

  /**
   * Size in bytes. Pointers have the size of the object's target, which BTF says only by its `long`: 8 unless that is 4.
   * @throws BtfError BTF_LAYOUT for types without a size (void, functions, forward declarations)
   */
  sizeOf(id: number): number {
    let count = 1;
    let current = id;
    for (let step = 0; step < RESOLVE_STEPS_MAX; step += 1) {
      const type = this.resolve(current);
      if (type.kind !== 'array') return checkedSize(count * this.#scalarSize(type), id);
      count = checkedSize(count * type.count, id);
      current = type.typeId;
    }
    throw new BtfError('BTF_LAYOUT', `type ${id} is an array of more than ${RESOLVE_STEPS_MAX} dimensions`);
  }

  /** A string of the string section, as `.BTF.ext` refers to them. */
  stringAt(offset: number): string {
    return this.#raw.stringAt(offset);
  }

  get pointerBytes(): 4 | 8 {
    this.#pointerBytes ??= this.longType()?.bytes === 4 ? 4 : 8;
    return this.#pointerBytes;
  }

  /** The first type that compilers call `long`, signed or not: it is among the first of a kernel. */
  longType(): TypeOfKind<'int'> | undefined {
    if (this.base !== undefined) return this.base.longType();
    const { offsets, view, littleEndian, firstId } = this.#raw;
    for (let index = 0; index < offsets.length; index += 1) {
      const at = offsets[index] as number;
      const kind = BTF_KINDS[(view.getUint32(at + 4, littleEndian) >>> 24) & 0x1f];
      const bytes = view.getUint32(at + 8, littleEndian);
      if (kind !== 'int' || (bytes !== 4 && bytes !== 8)) continue;
      if (!LONG_NAMES.has(this.#raw.stringAt(view.getUint32(at, littleEndian)))) continue;
      return this.typeById(firstId + index) as TypeOfKind<'int'>;
    }
    return undefined;
  }

  /** The C declaration of one type, nested anonymous types inside it, as `bpftool btf dump format c` would print it. */
  printC(id: number): string {
    return printType(this, id);
  }

  /** A variable of that type in C, `const char name[16]`; without a name the type alone, `const char [16]`. */
  printDeclaration(id: number, name = ''): string {
    return printDeclaration(this, id, name);
  }

  /**
   * All types as one header that compiles, as `bpftool btf dump format c` would print it.
   * @throws BtfError BTF_LAYOUT for types that contain themselves, BTF_LIMIT
   */
  printHeader(options: HeaderOptions = {}): string {
    return printHeader(this, options);
  }

  #scalarSize(type: BtfType): number {
    switch (type.kind) {
      case 'int':
      case 'struct':
      case 'union':
      case 'enum':
      case 'enum64':
      case 'float':
      case 'datasec':
        return type.bytes;
      case 'ptr':
        return this.pointerBytes;
      default:
        throw new BtfError('BTF_LAYOUT', `type ${type.id} (${type.kind} ${type.name}) has no size`);
    }
  }
}

function checkedSize(bytes: number, id: number): number {
  if (bytes <= Number.MAX_SAFE_INTEGER) return bytes;
  throw new BtfError('BTF_LIMIT', `type ${id} is larger than any memory`);
}
