import { BtfError } from '../error.js';
import type { Column } from '../layout/column.js';
import { columnOf } from '../layout/columns.js';
import type { Btf } from '../types/btf.js';
import type { BtfType, CompositeType, Member } from '../types/types.js';
import type { Layout } from './source.js';
import { Captures, guard, identifier, NAMED_SOURCE, valueSource } from './source.js';

const DEPTH_MAX = 16;
const MEMBERS_MAX = 4096;

export type ObjectDecoder = (view: DataView, offset: number, bytes: number) => Record<string, unknown>;

/**
 * Generates a decoder for one struct, as C shows it: nested structs and arrays of them as objects, integers of 64 bits as
 * bigint, char arrays as text up to the first NUL, other one-byte arrays as Uint8Array, enums by name (the number when it
 * has none). Of a union every arm is read; anonymous members belong to their parent.
 * The decoder throws BtfError RECORD_SHORT for a record that is shorter than the struct.
 * @throws BtfError BTF_LAYOUT, BTF_IDENTIFIER, BTF_LIMIT
 */
export function objectDecoder(btf: Btf, typeId: number): ObjectDecoder {
  const type = btf.resolve(typeId);
  if (type.kind !== 'struct' && type.kind !== 'union') {
    throw new BtfError('BTF_LAYOUT', `type ${typeId} is a ${type.kind}, and only structs become objects`);
  }
  const captures = new Captures();
  const layout = { littleEndian: btf.littleEndian, bytesMin: type.bytes };
  const object = new ObjectSource(btf, layout, captures).composite(type, 0, true, 0);
  return captures.compile<ObjectDecoder>(
    `${NAMED_SOURCE}\nreturn function (v, o, n) {\n${guard(type.bytes)}\nreturn ${object};\n};`,
  );
}

class ObjectSource {
  #members = 0;

  constructor(
    readonly btf: Btf,
    readonly layout: Layout,
    readonly captures: Captures,
  ) {}

  composite(type: CompositeType, baseBits: number, outermost: boolean, depth: number): string {
    return `{ ${this.#properties(type, baseBits, outermost, depth).join(', ')} }`;
  }

  #properties(type: CompositeType, baseBits: number, outermost: boolean, depth: number): string[] {
    if (depth > DEPTH_MAX)
      throw new BtfError('BTF_LAYOUT', `${type.kind} ${type.name} is nested deeper than ${DEPTH_MAX}`);
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
    if (type.kind === 'struct' || type.kind === 'union') {
      return this.composite(this.#inside(type, offsetBits), offsetBits, false, depth + 1);
    }
    const element = type.kind === 'array' ? this.btf.resolve(type.typeId) : undefined;
    if (type.kind === 'array' && (element?.kind === 'struct' || element?.kind === 'union')) {
      return this.#structArray(element, type.count, offsetBits, depth);
    }
    const shape = columnOf(this.btf, type.id, member.name, member.bitfieldBits, mayFlex);
    const column: Column = { ...shape, offsetBits };
    if (offsetBits + column.bits > this.layout.bytesMin * 8) {
      throw new BtfError('BTF_LAYOUT', `member ${member.name} reaches past the end of its struct`);
    }
    return column.kind === 'opaque' ? this.#opaque(column) : valueSource(column, this.layout, this.captures);
  }

  /** Elements are read by a function of their own offset, so that the code does not grow with their count. */
  #structArray(element: CompositeType, count: number, offsetBits: number, depth: number): string {
    if (element.bytes === 0) return '[]';
    const start = offsetBits / 8;
    if (start + element.bytes * count > this.layout.bytesMin) {
      throw new BtfError(
        'BTF_LAYOUT',
        `an array of ${element.kind} ${element.name} reaches past the end of its struct`,
      );
    }
    const item = new ObjectSource(this.btf, { ...this.layout, bytesMin: element.bytes }, this.captures);
    item.#members = this.#members;
    const object = item.composite(element, 0, false, depth + 1);
    this.#members = item.#members;
    const read = `((o) => (${object}))(o + ${start} + i * ${element.bytes})`;
    return `Array.from({ length: ${count} }, (_, i) => ${read})`;
  }

  /** What has no better form is shown as its bytes. */
  #opaque(column: Column): string {
    const start = Math.floor(column.offsetBits / 8);
    return `readBytes(v, o + ${start}, o + ${start + Math.ceil(column.bits / 8)})`;
  }

  #inside(type: CompositeType, offsetBits: number): CompositeType {
    if (offsetBits % 8 === 0 && offsetBits / 8 + type.bytes <= this.layout.bytesMin) return type;
    throw new BtfError('BTF_LAYOUT', `${type.kind} ${type.name} reaches past the end of its struct`);
  }
}
