import { BtfError } from '../error.js';
import type { Column } from '../layout/column.js';
import { columnOf } from '../layout/columns.js';
import type { Btf } from '../types/btf.js';
import type { ArrayType, BtfType, CompositeType, IntType, Member } from '../types/types.js';
import type { Captures, Layout } from './source.js';
import { identifier, valueSource } from './source.js';

export const DEPTH_MAX = 16;
export const MEMBERS_MAX = 4096;

/** Arrays of up to so many numbers are written out, which is several times faster than a call for each. */
const INLINE_ELEMENTS_MAX = 8;
const SCALARS: ReadonlySet<string> = new Set(['int', 'ptr', 'enum', 'enum64', 'float']);

/** Generates expressions that read values as C shows them; one budget of members bounds all that one decoder reads. */
export class ObjectSource {
  #members = 0;

  constructor(
    readonly btf: Btf,
    readonly layout: Layout,
    readonly captures: Captures,
  ) {}

  /** A whole type that begins at `o`. */
  whole(type: BtfType, outermost: boolean, depth = 0): string {
    const member = { name: 'value', typeId: type.id, offsetBits: 0, bitfieldBits: 0 };
    return type.kind === 'struct' || type.kind === 'union'
      ? this.#composite(type, 0, outermost, depth)
      : this.#value(type, member, 0, false, depth);
  }

  #composite(type: CompositeType, baseBits: number, outermost: boolean, depth: number): string {
    return `{ ${this.#properties(type, baseBits, outermost, depth).join(', ')} }`;
  }

  #properties(type: CompositeType, baseBits: number, outermost: boolean, depth: number): string[] {
    checkDepth(type, depth);
    return type.members.flatMap((member) => {
      this.#members += 1;
      if (this.#members > MEMBERS_MAX) throw new BtfError('BTF_LIMIT', `more than ${MEMBERS_MAX} members`);
      const offsetBits = baseBits + member.offsetBits;
      const inner = this.btf.resolve(member.typeId);
      if (member.name === '') {
        const anonymous = inner.kind === 'struct' || inner.kind === 'union';
        return anonymous ? this.#properties(this.#inside(inner, offsetBits), offsetBits, false, depth + 1) : [];
      }
      const flexible = outermost && type.kind === 'struct' && type.members.at(-1) === member;
      return [`${identifier(member.name)}: ${this.#value(inner, member, offsetBits, flexible, depth)}`];
    });
  }

  #value(type: BtfType, member: Member, offsetBits: number, mayFlex: boolean, depth: number): string {
    checkDepth(type, depth);
    if (type.kind === 'struct' || type.kind === 'union') {
      return this.#composite(this.#inside(type, offsetBits), offsetBits, false, depth + 1);
    }
    const shape = columnOf(this.btf, type.id, member.name, member.bitfieldBits, mayFlex);
    const column: Column = { ...shape, offsetBits: offsetBits + shape.offsetBits };
    if (column.offsetBits + column.bits > this.layout.bytesMin * 8) {
      throw new BtfError('BTF_LAYOUT', `member ${member.name} reaches past the end of its struct`);
    }
    if (type.kind === 'array' && hasElements(column)) return this.#array(type, offsetBits, depth);
    if (type.kind === 'ptr' && !column.bitfield && column.bits === 32) {
      return `BigInt(${valueSource(column, this.layout, this.captures)})`;
    }
    return column.kind === 'opaque' ? this.#opaque(type, column) : valueSource(column, this.layout, this.captures);
  }

  /** Elements are read by a function of their own offset, so that the code does not grow with their count; a few numbers are not. */
  #array(type: ArrayType, offsetBits: number, depth: number): string {
    const bytes = this.btf.sizeOf(type.typeId);
    if (bytes === 0) return '[]';
    const scalar = this.btf.resolve(type.typeId);
    if (type.count <= INLINE_ELEMENTS_MAX && SCALARS.has(scalar.kind)) {
      const member = { name: 'element', typeId: scalar.id, offsetBits: 0, bitfieldBits: 0 };
      const read = (index: number) => this.#value(scalar, member, offsetBits + index * bytes * 8, false, depth + 1);
      return `[${Array.from({ length: type.count }, (_, index) => read(index)).join(', ')}]`;
    }
    const item = new ObjectSource(this.btf, { ...this.layout, bytesMin: bytes }, this.captures);
    item.#members = this.#members;
    const element = item.whole(this.btf.resolve(type.typeId), false, depth + 1);
    this.#members = item.#members;
    const read = `((o) => (${element}))(o + ${offsetBits / 8} + i * ${bytes})`;
    return `Array.from({ length: ${type.count} }, (_, i) => ${read})`;
  }

  /** Integers of 128 bits are bigint; what has no better form is shown as its bytes. */
  #opaque(type: BtfType, column: Column): string {
    const start = Math.floor(column.offsetBits / 8);
    if (isWideInt(type)) {
      const bits = `${column.offsetBits % 8}, ${column.bits}`;
      return `readBits(v, o + ${start}, ${bits}, ${type.signed}, ${this.layout.littleEndian})`;
    }
    return `readBytes(v, o + ${start}, o + ${start + Math.ceil(column.bits / 8)})`;
  }

  #inside(type: CompositeType, offsetBits: number): CompositeType {
    if (offsetBits % 8 === 0 && offsetBits / 8 + type.bytes <= this.layout.bytesMin) return type;
    throw new BtfError('BTF_LAYOUT', `${type.kind} ${type.name} reaches past the end of its struct`);
  }
}

/** Whether an array is a list of values; text and bytes are one value. */
export function hasElements(column: Column): boolean {
  return column.kind === 'array' || column.kind === 'opaque';
}

export function isWideInt(type: BtfType): type is IntType {
  return type.kind === 'int' && type.bytes === 16;
}

/** @throws BtfError BTF_LAYOUT */
export function checkDepth(type: BtfType, depth: number): void {
  if (depth <= DEPTH_MAX) return;
  throw new BtfError('BTF_LAYOUT', `${type.kind} ${type.name} is nested deeper than ${DEPTH_MAX}`);
}
