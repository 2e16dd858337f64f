import { execFileSync } from 'node:child_process';

const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;
/** Nested unnamed types; C has a few levels of them. */
const DEPTH_MAX = 32;

/** What `bpftool -j btf dump file` says of one type. */
interface DumpedType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly type_id?: number;
  readonly nr_elems?: number;
  readonly nr_bits?: number;
  readonly members?: readonly DumpedMember[];
}

interface DumpedMember {
  readonly name: string;
  readonly type_id: number;
  readonly bits_offset: number;
  readonly bitfield_size?: number;
}

/** A member by its name; those of an unnamed struct without a name stand among those of the struct around it. */
export interface ReadMember {
  readonly name: string;
  readonly offsetBits: number;
  readonly bits: number;
  readonly isBitfield: boolean;
  /** The layout of the unnamed type that the member has, if it has one. */
  readonly inside: string;
}

/** A struct or union as bpftool read it. */
export interface ReadLayout {
  /** `struct name`, or `typedef name` of an unnamed one. */
  readonly name: string;
  readonly bytes: number;
  readonly members: readonly ReadMember[];
}

/**
 * The size and every member's place of every struct and union in a file of BTF or an object, by bpftool: a reader that shares
 * no line with this library. `pointerBytes` is what its dump does not say.
 */
export function readLayouts(file: string, pointerBytes: 4 | 8): ReadLayout[] {
  const dump = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', file], {
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
  });
  const { types } = JSON.parse(dump) as { types: DumpedType[] };
  return new DumpReader(types, pointerBytes).layouts();
}

/** The name that a type has in its kernel: a header calls the second `chip` `chip___2`. */
export function kernelName(name: string): string {
  return name.replace(/___\d+$/, '');
}

/** All of a layout but its name, to be compared. */
export function layoutText({ bytes, members }: Pick<ReadLayout, 'bytes' | 'members'>): string {
  // pahole calls a bitfield that fills its type a plain member: the width is compared, the word is not.
  const texts = members.map(({ name, offsetBits, bits, inside }) => `${name}@${offsetBits}+${bits}${inside}`);
  return `${bytes} { ${texts.join(' ')} }`;
}

class DumpReader {
  constructor(
    readonly types: readonly DumpedType[],
    readonly pointerBytes: 4 | 8,
  ) {}

  layouts(): ReadLayout[] {
    return this.types.flatMap((type) => {
      const named = isComposite(type) && isNamed(type);
      if (named) return [this.#layout(type, `${type.kind.toLowerCase()} ${type.name}`)];
      const inner = type.kind === 'TYPEDEF' ? this.#type(type.type_id) : undefined;
      if (inner === undefined || !isComposite(inner) || isNamed(inner)) return [];
      return [this.#layout(inner, `typedef ${type.name}`)];
    });
  }

  #layout(type: DumpedType, name: string): ReadLayout {
    return { name, bytes: type.size ?? 0, members: this.#members(type, 0, 0) };
  }

  #members(type: DumpedType, baseBits: number, depth: number): ReadMember[] {
    if (depth > DEPTH_MAX) throw new Error(`type ${type.id} is nested deeper than ${DEPTH_MAX}`);
    return (type.members ?? []).flatMap((member): ReadMember[] => {
      const offsetBits = baseBits + member.bits_offset;
      const element = this.#element(member.type_id);
      const isUnnamed = isComposite(element) && !isNamed(element);
      if (!isNamed(member)) return isUnnamed ? this.#members(element, offsetBits, depth + 1) : [];
      // Filling that is too long for unnamed bitfields.
      if (member.name.startsWith('__filler_')) return [];
      const inside = isUnnamed
        ? layoutText({ bytes: element.size ?? 0, members: this.#members(element, 0, depth + 1) })
        : '';
      return [{ name: member.name, offsetBits, ...this.#width(member), inside }];
    });
  }

  #width(member: DumpedMember): { bits: number; isBitfield: boolean } {
    if (member.bitfield_size) return { bits: member.bitfield_size, isBitfield: true };
    const type = this.#resolve(member.type_id);
    const bytes = this.#bytes(type);
    // Old compilers put the width of a bitfield into its integer.
    if (type.kind === 'INT' && type.nr_bits !== bytes * 8) return { bits: type.nr_bits ?? 0, isBitfield: true };
    return { bits: bytes * 8, isBitfield: false };
  }

  #bytes(type: DumpedType): number {
    if (type.kind === 'PTR') return this.pointerBytes;
    if (type.kind === 'ARRAY') return (type.nr_elems ?? 0) * this.#bytes(this.#resolve(type.type_id));
    if (type.size === undefined) throw new Error(`type ${type.id} (${type.kind} ${type.name}) has no size`);
    return type.size;
  }

  #element(id: number): DumpedType {
    let type = this.#resolve(id);
    while (type.kind === 'ARRAY') type = this.#resolve(type.type_id);
    return type;
  }

  #resolve(id: number | undefined): DumpedType {
    let type = this.#type(id);
    while (['TYPEDEF', 'CONST', 'VOLATILE', 'RESTRICT', 'TYPE_TAG'].includes(type.kind))
      type = this.#type(type.type_id);
    return type;
  }

  #type(id: number | undefined): DumpedType {
    if (id === 0) return { id: 0, kind: 'VOID', name: '(anon)' };
    const type = this.types[(id ?? 0) - 1];
    if (type === undefined || type.id !== id) throw new Error(`there is no type ${id} in the dump`);
    return type;
  }
}

function isComposite({ kind }: DumpedType): boolean {
  return kind === 'STRUCT' || kind === 'UNION';
}

function isNamed({ name }: { readonly name: string }): boolean {
  return name !== '(anon)';
}
