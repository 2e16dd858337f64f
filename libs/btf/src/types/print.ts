import { BtfError } from '../error.js';
import type { Btf } from './btf.js';
import type { Filler } from './layout.js';
import { LayoutTable } from './layout.js';
import type { BtfType, CompositeType, EnumType, Member, ReferenceType, TypeTagType } from './types.js';

const DEPTH_MAX = 32;
const QUALIFIERS: ReadonlySet<string> = new Set(['const', 'volatile', 'restrict', 'type_tag']);
const PRINT_CHARS_MAX = 1024 * 1024;
const FILLER_TYPES = { 8: 'char', 16: 'short', 32: 'int', 64: 'long long' } as const;

/** How names are written. A whole header must tell apart types that share one. */
export interface Names {
  readonly type: (type: BtfType) => string;
  readonly member: (name: string) => string;
  readonly enumerator: (name: string) => string;
  /** Between the brackets of an array of no elements: `[]` may stand at the end of a struct only, `[0]` anywhere. */
  readonly noElements: '' | '0';
}

const PLAIN_NAMES: Names = {
  type: (type) => (type.name === '_Bool' ? 'bool' : type.name),
  member: (name) => name,
  enumerator: (name) => name,
  noElements: '',
};

/** See {@link Btf.printC}. */
export function printType(btf: Btf, id: number): string {
  return new TypePrinter(btf, PLAIN_NAMES, PRINT_CHARS_MAX).definition(id);
}

/** See {@link Btf.printDeclaration}. */
export function printDeclaration(btf: Btf, id: number, name: string): string {
  return new TypePrinter(btf, PLAIN_NAMES, PRINT_CHARS_MAX).declaration(id, name);
}

/** Writes C declarations. All of them together have at most `charsMax` characters. */
export class TypePrinter {
  #chars = 0;
  readonly #layouts: LayoutTable;

  constructor(
    readonly btf: Btf,
    readonly names: Names,
    readonly charsMax: number,
  ) {
    this.#layouts = new LayoutTable(btf);
  }

  /** Such as `const char name[16]`, and for no name the type as a cast would write it. */
  declaration(id: number, name: string): string {
    return this.#declare(id, name, 0);
  }

  definition(id: number): string {
    const type = this.btf.typeById(id);
    switch (type.kind) {
      case 'struct':
      case 'union':
        return `${this.#composite(type, 0)};\n`;
      case 'enum':
      case 'enum64':
        return `${this.#enumeration(type, 0)};\n`;
      case 'fwd':
        return `${type.of} ${this.names.type(type)};\n`;
      case 'typedef':
        return `typedef ${this.#declare(type.typeId, this.names.type(type), 0)};\n`;
      case 'func':
      case 'var':
        return `${type.linkage === 'extern' ? 'extern ' : ''}${this.#declare(type.typeId, type.name, 0)};\n`;
      default:
        return `${this.#declare(id, '', 0)}\n`;
    }
  }

  /**
   * Builds a declarator inside out, as C reads: arrays and functions bind tighter than pointers. A qualified pointer carries
   * the qualifier behind its star, everything else in front of the type's name.
   */
  #declare(id: number, declarator: string, depth: number): string {
    let current = id;
    let text = declarator;
    const qualifiers = new Set<string>();
    for (let step = 0; step < DEPTH_MAX; step += 1) {
      const type = this.btf.typeById(current);
      switch (type.kind) {
        case 'ptr': {
          const target = this.#behindQualifiers(type.typeId);
          text = target === 'array' || target === 'func_proto' ? `(*${text})` : `*${text}`;
          current = type.typeId;
          break;
        }
        case 'array':
          text = `${text}[${type.count === 0 ? this.names.noElements : type.count}]`;
          current = type.typeId;
          break;
        case 'const':
        case 'volatile':
        case 'restrict':
          if (this.#behindQualifiers(type.typeId) === 'ptr') text = join(type.kind, text);
          else if (type.kind !== 'restrict') qualifiers.add(`${type.kind} `);
          current = type.typeId;
          break;
        case 'type_tag':
          text = join(tagAttribute(type), text);
          current = type.typeId;
          break;
        case 'func_proto':
          text = `${text}(${type.parameters.map((p) => this.#parameter(p.typeId, p.name, depth)).join(', ') || 'void'})`;
          current = type.returnTypeId;
          break;
        default:
          return this.#bounded(join([...qualifiers].join('') + this.#specifier(type, depth), text));
      }
    }
    throw new BtfError('BTF_LAYOUT', `type ${id} is nested deeper than ${DEPTH_MAX}`);
  }

  #behindQualifiers(id: number): BtfType['kind'] {
    let type = this.btf.typeById(id);
    for (let step = 0; step < DEPTH_MAX; step += 1) {
      if (!QUALIFIERS.has(type.kind)) return type.kind;
      type = this.btf.typeById((type as ReferenceType).typeId);
    }
    return type.kind;
  }

  #parameter(typeId: number, name: string, depth: number): string {
    if (depth >= DEPTH_MAX) throw new BtfError('BTF_LAYOUT', `a function type is nested deeper than ${DEPTH_MAX}`);
    return typeId === 0 ? '...' : this.#declare(typeId, this.names.member(name), depth + 1);
  }

  #specifier(type: BtfType, depth: number): string {
    switch (type.kind) {
      case 'void':
        return 'void';
      case 'struct':
      case 'union':
        return type.name === '' ? this.#composite(type, depth) : `${type.kind} ${this.names.type(type)}`;
      case 'enum':
      case 'enum64':
        return type.name === '' ? this.#enumeration(type, depth) : `enum ${this.names.type(type)}`;
      case 'fwd':
        return `${type.of} ${this.names.type(type)}`;
      default:
        return this.names.type(type);
    }
  }

  #composite(type: CompositeType, depth: number): string {
    if (depth >= DEPTH_MAX)
      throw new BtfError('BTF_LAYOUT', `${type.kind} ${type.name} is nested deeper than ${DEPTH_MAX}`);
    const indent = '\t'.repeat(depth + 1);
    const { packed, alignedBytes, before, atEnd } = this.#layouts.of(type);
    const lines = type.members.map((member, index) => {
      const width = this.#bitfieldWidth(member);
      const name = this.names.member(member.name);
      const declaration = this.#declare(member.typeId, name, depth + 1);
      const filling = before[index] === undefined ? '' : fillerLines(before[index], indent, member.offsetBits);
      return `${filling}${indent}${declaration}${width === 0 ? '' : `: ${width}`};\n`;
    });
    const end = fillerLines(atEnd, indent, type.bytes * 8);
    const atUnionEnd = type.kind === 'union' && end !== '' ? `${indent}struct {\n${end}${indent}};\n` : end;
    const attributes = packed ? ' __attribute__((packed))' : '';
    const aligned = alignedBytes === undefined ? '' : ` __attribute__((aligned(${alignedBytes})))`;
    const head = join(type.kind, type.name === '' ? '' : this.names.type(type));
    return this.#bounded(`${head} {\n${lines.join('')}${atUnionEnd}${'\t'.repeat(depth)}}${attributes}${aligned}`);
  }

  #bitfieldWidth(member: Member): number {
    if (member.bitfieldBits !== 0) return member.bitfieldBits;
    const type = this.btf.resolve(member.typeId);
    return type.kind === 'int' && type.bits !== type.bytes * 8 ? type.bits : 0;
  }

  #enumeration(type: EnumType, depth: number): string {
    const indent = '\t'.repeat(depth + 1);
    const lines = type.values.map(({ name, value }) => {
      const wide = value > 0x7fff_ffffn || value < -0x8000_0000n;
      return `${indent}${this.names.enumerator(name)} = ${value}${wide ? (value < 0n ? 'LL' : 'ULL') : ''},\n`;
    });
    // C knows no enum without values; a kernel that leaves them all out by configuration does.
    if (lines.length === 0 && type.name !== '') lines.push(`${indent}${this.names.enumerator(`__no_${type.name}`)},\n`);
    // An enum of one byte says so by an attribute; what does not fit into an int widens it by itself.
    const small = type.bytes < 4 ? ' __attribute__((packed))' : '';
    const head = join('enum', type.name === '' ? '' : this.names.type(type));
    return this.#bounded(`${head} {\n${lines.join('')}${'\t'.repeat(depth)}}${small}`);
  }

  #bounded(text: string): string {
    this.#chars += text.length;
    if (this.#chars > this.charsMax) throw new BtfError('BTF_LIMIT', `more than ${this.charsMax} characters of C`);
    return text;
  }
}

/** Unnamed bitfields; a long stretch is an array, named after the bit where it ends. */
function fillerLines({ units, widths, bytes }: Filler, indent: string, endBits: number): string {
  const fields = units.map((unit, index) => `${indent}${FILLER_TYPES[unit]}: ${widths[index]};\n`).join('');
  return bytes === 0 ? fields : `${fields}${indent}char __filler_${endBits}[${bytes}];\n`;
}

/** What a tag may say without becoming other C. */
const TAG_TEXT = /^[A-Za-z_][\w:. ]*$/;
const ATTRIBUTE_TEXT = /^[A-Za-z_]\w*(?:\(\d+\))?$/;

/** Empty for one that says something else: it means nothing to a compiler, and leaving it out changes no layout. */
function tagAttribute({ name, isAttribute }: TypeTagType): string {
  if (isAttribute) return ATTRIBUTE_TEXT.test(name) ? `__attribute__((${name}))` : '';
  return TAG_TEXT.test(name) ? `__attribute__((btf_type_tag("${name}")))` : '';
}

function join(left: string, right: string): string {
  return left === '' || right === '' ? left + right : `${left} ${right}`;
}
