import { BtfError } from '../error.js';
import type { Btf } from '../types/btf.js';
import type { ArrayType, BtfType, CompositeType, Member } from '../types/types.js';
import type { Column } from './column.js';

const DEPTH_MAX = 16;
/** Members looked at, also those that make no column: empty structs can multiply without making any. */
const MEMBERS_MAX = 4096;
/** Room that a program leaves so that its struct has no holes. */
const PADDING = /^_*(pad|padding|reserved)_?\d*$/;

export function isPadding(member: string): boolean {
  return PADDING.test(member);
}

const BITFIELD_KINDS: ReadonlySet<string> = new Set(['int', 'uint', 'bool', 'enum']);

export interface ColumnOptions {
  /** Dotted paths that are asked for: of a union, the arms on the way to them become columns. */
  readonly arms?: Iterable<string>;
}

/**
 * A struct as flat columns in the order of its members. Nested structs are taken apart, anonymous ones leave no trace in
 * the names, padding (`pad`, `_pad1`, `__reserved` …) is left out. A union is opaque until one of its arms is chosen.
 * @throws BtfError BTF_LAYOUT when members lie outside of their struct, BTF_LIMIT, BTF_NOT_FOUND
 */
export function columnsOf(btf: Btf, typeId: number, options: ColumnOptions = {}): Column[] {
  const type = btf.resolve(typeId);
  if (type.kind !== 'struct' && type.kind !== 'union') {
    throw new BtfError('BTF_LAYOUT', `type ${typeId} is a ${type.kind}, and only structs have columns`);
  }
  const walk = new Walk(btf, type.bytes * 8, [...(options.arms ?? [])]);
  walk.composite(type, [], 0, 0);
  return walk.columns;
}

/**
 * One type by itself as a column: map keys and values that are not structs, or a member (`bitfieldBits`, and whether an
 * array of no elements reaches to the end of the record).
 */
export function columnOf(btf: Btf, typeId: number, name: string, bitfieldBits = 0, mayFlex = false): Column {
  const walk = new Walk(btf, btf.sizeOf(typeId) * 8, []);
  walk.leaf(btf.resolve(typeId), { name, typeId, offsetBits: 0, bitfieldBits }, [name], 0, mayFlex);
  return walk.columns[0] as Column;
}

class Walk {
  readonly columns: Column[] = [];
  #members = 0;

  constructor(
    readonly btf: Btf,
    readonly totalBits: number,
    readonly arms: readonly string[],
  ) {}

  composite(type: CompositeType, path: readonly string[], baseBits: number, depth: number): void {
    if (depth > DEPTH_MAX)
      throw new BtfError('BTF_LAYOUT', `${type.kind} ${type.name} is nested deeper than ${DEPTH_MAX}`);
    const members = type.kind === 'union' ? this.#chosenArms(type, path) : type.members;
    if (members === undefined) {
      const names = type.members.map((member) => member.name || '(unnamed)').join(', ');
      this.#push(type, path, baseBits, type.bytes * 8, { kind: 'opaque', reason: `is a union of ${names}` });
      return;
    }
    for (const member of members) this.#member(type, member, path, baseBits, depth);
  }

  #member(parent: CompositeType, member: Member, path: readonly string[], baseBits: number, depth: number): void {
    this.#members += 1;
    if (this.#members > MEMBERS_MAX) throw new BtfError('BTF_LIMIT', `more than ${MEMBERS_MAX} members`);
    const type = this.btf.resolve(member.typeId);
    const offsetBits = baseBits + member.offsetBits;
    const isLast = depth === 0 && parent.kind === 'struct' && parent.members.at(-1) === member;
    if (type.kind === 'struct' || type.kind === 'union') {
      this.#checkEnd(offsetBits, type.bytes * 8, member.name);
      this.composite(type, member.name === '' ? path : [...path, member.name], offsetBits, depth + 1);
      return;
    }
    if (member.name === '' || isPadding(member.name)) return;
    this.leaf(type, member, [...path, member.name], offsetBits, isLast);
  }

  leaf(type: BtfType, member: Member, path: readonly string[], offsetBits: number, isLast: boolean): void {
    if (type.kind === 'array') {
      this.#array(type, path, offsetBits, isLast);
      return;
    }
    // Before bitfields had a width of their own in members, an integer type could be narrower than its bytes.
    const narrow = type.kind === 'int' && type.bits !== type.bytes * 8;
    const bits = member.bitfieldBits || (narrow ? type.bits : 0);
    const whole = this.btf.sizeOf(type.id) * 8;
    const part = scalarKind(type);
    if (bits > whole || (bits !== 0 && part.kind !== 'opaque' && !BITFIELD_KINDS.has(part.kind))) {
      throw new BtfError('BTF_LAYOUT', `${path.join('.')} is a bitfield of ${bits} bits of a type that has none`);
    }
    const start = offsetBits + (narrow ? type.offsetBits : 0);
    this.#push(type, path, start, bits || whole, { ...part, bitfield: bits !== 0 });
  }

  #array(type: ArrayType, path: readonly string[], offsetBits: number, isLast: boolean): void {
    const element = this.btf.resolve(type.typeId);
    const bytes = this.btf.sizeOf(type.id);
    if (type.count === 0 && !isLast) {
      this.#push(type, path, offsetBits, 0, {
        kind: 'opaque',
        reason: 'is an array of no elements, and not the last member',
      });
      return;
    }
    const flexible = type.count === 0;
    const scalar = element.kind === 'array' ? undefined : scalarKind(element).kind;
    if (element.kind === 'int' && element.bytes === 1 && !element.isBool) {
      this.#push(type, path, offsetBits, bytes * 8, { kind: element.isChar ? 'text' : 'bytes', flexible });
    } else if (!flexible && (scalar === 'int' || scalar === 'uint' || scalar === 'bool' || scalar === 'float')) {
      const parts = { kind: scalar, bytes: this.btf.sizeOf(element.id), count: type.count };
      this.#push(type, path, offsetBits, bytes * 8, { kind: 'array', element: parts });
    } else {
      const reason = `is an array of ${element.kind === 'struct' ? `struct ${element.name}` : element.kind}`;
      this.#push(type, path, offsetBits, bytes * 8, { kind: 'opaque', reason });
    }
  }

  #push(type: BtfType, path: readonly string[], offsetBits: number, bits: number, part: Part): void {
    this.#checkEnd(offsetBits, bits, path.join('.'));
    if (offsetBits % 8 !== 0 && part.bitfield !== true) {
      throw new BtfError('BTF_LAYOUT', `member ${path.join('.')} does not begin on a byte`);
    }
    this.columns.push({
      name: path.join('_'),
      path: path.join('.'),
      typeId: type.id,
      offsetBits,
      bits,
      bitfield: false,
      flexible: false,
      ...part,
    });
  }

  #checkEnd(offsetBits: number, bits: number, name: string): void {
    if (offsetBits + bits <= this.totalBits) return;
    throw new BtfError('BTF_LAYOUT', `member ${name} reaches past the end of its struct`);
  }

  /** The arms of a union that lead to what was asked for; undefined when none does. */
  #chosenArms(type: CompositeType, path: readonly string[]): readonly Member[] | undefined {
    const chosen = type.members.filter((member) => this.#leadsToArm(member, path, 0));
    return chosen.length === 0 ? undefined : chosen;
  }

  #leadsToArm(member: Member, path: readonly string[], depth: number): boolean {
    if (member.name !== '') {
      const own = [...path, member.name].join('.');
      return this.arms.some((arm) => arm === own || arm.startsWith(`${own}.`));
    }
    const type = this.btf.resolve(member.typeId);
    this.#members += 1;
    if (depth > DEPTH_MAX || this.#members > MEMBERS_MAX) return false;
    return (
      (type.kind === 'struct' || type.kind === 'union') &&
      type.members.some((inner) => this.#leadsToArm(inner, path, depth + 1))
    );
  }
}

type Part = Pick<Column, 'kind'> & Partial<Column>;

function scalarKind(type: BtfType): Part {
  switch (type.kind) {
    case 'int':
      if (type.isBool) return { kind: 'bool' };
      if (!isWord(type.bytes)) return { kind: 'opaque', reason: `is an integer of ${type.bytes * 8} bits` };
      return { kind: type.signed ? 'int' : 'uint' };
    case 'ptr':
      return { kind: 'uint' };
    case 'enum':
    case 'enum64':
      if (!isWord(type.bytes)) return { kind: 'opaque', reason: `is an enum of ${type.bytes} bytes` };
      return {
        kind: 'enum',
        signed: type.signed || type.values.some(({ value }) => value < 0n),
        enumNames: Object.fromEntries([...type.values].reverse().map(({ name, value }) => [value.toString(), name])),
      };
    case 'float':
      if (type.bytes === 4 || type.bytes === 8) return { kind: 'float' };
      return { kind: 'opaque', reason: `is a float of ${type.bytes} bytes` };
    default:
      return { kind: 'opaque', reason: `is a ${type.kind}` };
  }
}

function isWord(bytes: number): boolean {
  return bytes === 1 || bytes === 2 || bytes === 4 || bytes === 8;
}
