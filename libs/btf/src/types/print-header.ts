import { BtfError } from '../error.js';
import type { Btf } from './btf.js';
import { HeaderNames, isBuiltin } from './header-names.js';
import { TypePrinter } from './print.js';
import type { BtfType } from './types.js';

/** Types that are needed for types that are needed: a kernel has some hundred. */
const DEPTH_MAX = 1500;
const PRINT_CHARS_MAX = 64 * 1024 * 1024;

export interface HeaderOptions {
  /** Makes every field access relocatable (`preserve_access_index`), as vmlinux.h wants it. */
  readonly preserveAccessIndex?: boolean;
}

/**
 * All types as one C header, each behind what it needs: definitions, where a pointer is enough a forward declaration,
 * `packed` and filling where the offsets tell of them. Functions and variables are left out.
 * @throws BtfError BTF_LAYOUT for types that contain themselves, BTF_LIMIT
 */
export function printHeader(btf: Btf, options: HeaderOptions = {}): string {
  const chunks = new HeaderPrinter(btf).print();
  if (options.preserveAccessIndex !== true) return chunks.join('\n');
  const push = '#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)\n';
  return [push, ...chunks, '#pragma clang attribute pop\n'].join('\n');
}

class HeaderPrinter {
  readonly #names = new HeaderNames();
  readonly #printer: TypePrinter;
  readonly #chunks: string[] = [];
  readonly #begun = new Set<number>();
  readonly #done = new Set<number>();
  readonly #declared = new Set<string>();

  constructor(readonly btf: Btf) {
    this.#printer = new TypePrinter(btf, this.#names, PRINT_CHARS_MAX);
  }

  print(): string[] {
    const used = this.#usedEnums();
    for (const type of this.btf.types()) {
      switch (type.kind) {
        case 'struct':
        case 'union':
        case 'typedef':
        case 'int':
          if (type.name !== '') this.#define(type, 0);
          break;
        case 'enum':
        case 'enum64':
          if (type.name !== '' || (type.values.length > 0 && !used.has(type.id))) this.#define(type, 0);
          break;
        case 'fwd':
          this.#declare(type);
          break;
      }
    }
    return this.#chunks;
  }

  /** Unnamed enums that are written where they are used. */
  #usedEnums(): Set<number> {
    const used = new Set<number>();
    for (const type of this.btf.types()) {
      const members = type.kind === 'struct' || type.kind === 'union' ? type.members : [];
      for (const { typeId } of members) used.add(typeId);
      if ('typeId' in type) used.add(type.typeId);
    }
    return used;
  }

  #define(type: BtfType, depth: number): void {
    if (this.#begun.has(type.id)) return;
    this.#begun.add(type.id);
    if (type.kind === 'typedef') {
      this.#need(type.typeId, false, depth + 1);
    } else if (type.kind === 'int') {
      if (!isBuiltin(type.name)) this.#chunks.push(substitute(type, this.#names.type(type)));
      return;
    } else {
      this.#needMembers(type, depth);
    }
    this.#chunks.push(this.#printer.definition(type.id));
    this.#done.add(type.id);
  }

  #needMembers(type: BtfType, depth: number): void {
    if (type.kind !== 'struct' && type.kind !== 'union') return;
    for (const { typeId } of type.members) this.#need(typeId, true, depth + 1);
  }

  /** `whole` where the size matters: members and elements, but not what a pointer points to. */
  #need(id: number, whole: boolean, depth: number): void {
    if (depth > DEPTH_MAX) throw new BtfError('BTF_LIMIT', `types need each other more than ${DEPTH_MAX} deep`);
    const type = this.btf.typeById(id);
    switch (type.kind) {
      case 'ptr':
        return this.#need(type.typeId, false, depth + 1);
      case 'array':
        return this.#need(type.typeId, true, depth + 1);
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type_tag':
        return this.#need(type.typeId, whole, depth + 1);
      case 'typedef':
        this.#define(type, depth);
        if (whole) this.#need(type.typeId, true, depth + 1);
        return;
      case 'struct':
      case 'union':
        return this.#needComposite(type, whole, depth);
      case 'enum':
      case 'enum64':
        if (type.name !== '') this.#define(type, depth);
        return;
      case 'int':
        return this.#define(type, depth);
      case 'fwd':
        return this.#declare(type);
      case 'func_proto':
        this.#need(type.returnTypeId, false, depth + 1);
        for (const { typeId } of type.parameters) this.#need(typeId, false, depth + 1);
    }
  }

  #needComposite(type: BtfType, whole: boolean, depth: number): void {
    if (type.name === '') {
      // Unnamed types are written out inside the one that uses them; one that contains itself ends at the limit.
      if (!this.#begun.has(type.id)) {
        this.#begun.add(type.id);
        this.#needMembers(type, depth);
      }
    } else if (whole) this.#define(type, depth);
    else this.#declare(type);
  }

  #declare(type: BtfType): void {
    if (this.#done.has(type.id)) return;
    const kind = type.kind === 'fwd' ? type.of : type.kind;
    const declaration = `${kind} ${this.#names.type(type)};\n`;
    if (this.#declared.has(declaration)) return;
    this.#declared.add(declaration);
    this.#chunks.push(declaration);
  }
}

/** Vector types of other compilers (`__Poly8_t`): nobody reads them, but their size counts. */
function substitute(type: BtfType & { kind: 'int' }, name: string): string {
  const words: Record<number, string> = { 1: 'char', 2: 'short', 4: 'int', 8: 'long long', 16: '__int128' };
  return `typedef ${type.signed ? 'signed' : 'unsigned'} ${words[type.bytes] ?? 'char'} ${name};\n`;
}
