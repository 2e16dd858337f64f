import { BtfError } from '../error.js';
import type { Btf } from './btf.js';
import type { BtfType, CompositeType, EnumType, ReferenceType } from './types.js';

const DEPTH_MAX = 32;
const QUALIFIERS: ReadonlySet<string> = new Set(['const', 'volatile', 'restrict', 'type_tag']);
const PRINT_CHARS_MAX = 1024 * 1024;

/** See {@link Btf.printC}. */
export function printType(btf: Btf, id: number): string {
  return new Printer(btf).definition(id);
}

class Printer {
  #chars = 0;

  constructor(readonly btf: Btf) {}

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
        return `${type.of} ${type.name};\n`;
      case 'typedef':
        return `typedef ${this.#declare(type.typeId, type.name, 0)};\n`;
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
    let qualifiers = '';
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
          text = `${text}[${type.count === 0 ? '' : type.count}]`;
          current = type.typeId;
          break;
        case 'const':
        case 'volatile':
        case 'restrict':
          if (this.#behindQualifiers(type.typeId) === 'ptr') text = join(type.kind, text);
          else if (type.kind !== 'restrict') qualifiers += `${type.kind} `;
          current = type.typeId;
          break;
        case 'type_tag':
          current = type.typeId;
          break;
        case 'func_proto':
          text = `${text}(${type.parameters.map((p) => this.#parameter(p.typeId, p.name, depth)).join(', ') || 'void'})`;
          current = type.returnTypeId;
          break;
        default:
          return this.#bounded(join(qualifiers + this.#specifier(type, depth), text));
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
    return typeId === 0 ? '...' : this.#declare(typeId, name, depth + 1);
  }

  #specifier(type: BtfType, depth: number): string {
    switch (type.kind) {
      case 'void':
        return 'void';
      case 'struct':
      case 'union':
        return type.name === '' ? this.#composite(type, depth) : `${type.kind} ${type.name}`;
      case 'enum':
      case 'enum64':
        return type.name === '' ? this.#enumeration(type, depth) : `enum ${type.name}`;
      case 'fwd':
        return `${type.of} ${type.name}`;
      case 'int':
        return type.name === '_Bool' ? 'bool' : type.name;
      default:
        return type.name;
    }
  }

  #composite(type: CompositeType, depth: number): string {
    if (depth >= DEPTH_MAX)
      throw new BtfError('BTF_LAYOUT', `${type.kind} ${type.name} is nested deeper than ${DEPTH_MAX}`);
    const indent = '\t'.repeat(depth + 1);
    const lines = type.members.map((member) => {
      const width = member.bitfieldBits === 0 ? '' : `: ${member.bitfieldBits}`;
      return `${indent}${this.#declare(member.typeId, member.name, depth + 1)}${width};\n`;
    });
    return this.#bounded(`${join(type.kind, type.name)} {\n${lines.join('')}${'\t'.repeat(depth)}}`);
  }

  #enumeration(type: EnumType, depth: number): string {
    const indent = '\t'.repeat(depth + 1);
    const lines = type.values.map(({ name, value }) => `${indent}${name} = ${value},\n`);
    return this.#bounded(`${join('enum', type.name)} {\n${lines.join('')}${'\t'.repeat(depth)}}`);
  }

  #bounded(text: string): string {
    this.#chars += text.length;
    if (this.#chars > PRINT_CHARS_MAX) throw new BtfError('BTF_LIMIT', `more than ${PRINT_CHARS_MAX} characters of C`);
    return text;
  }
}

function join(left: string, right: string): string {
  return left === '' || right === '' ? left + right : `${left} ${right}`;
}
