import { BtfError } from '../error.js';
import type { Btf } from './btf.js';
import type { BtfType, CompositeType, Member } from './types.js';

const DEPTH_MAX = 64;
/** Bits of filling in one struct, as unnamed bitfields of at most 64: anything longer becomes an array of bytes. */
const FILLER_WORDS_MAX = 16;

/** Bits that no member has, before a member or at the end. `units` are the widths of unnamed bitfields in order. */
export interface Filler {
  readonly units: readonly (8 | 16 | 32 | 64)[];
  readonly widths: readonly number[];
  /** Whole bytes that are better written as an array. */
  readonly bytes: number;
}

/** What has to be written beside the members so that a C compiler makes the layout that BTF describes. */
export interface CompositeLayout {
  readonly packed: boolean;
  /** `aligned(n)`, when nothing else explains the size. */
  readonly alignedBytes: number | undefined;
  /** In front of each member. */
  readonly before: readonly Filler[];
  readonly atEnd: Filler;
  /** What this type needs inside another one. */
  readonly alignBytes: number;
}

const NO_FILLER: Filler = { units: [], widths: [], bytes: 0 };

/**
 * BTF keeps offsets and sizes, and forgets `packed`, `aligned` and unnamed bitfields. This finds what explains the offsets:
 * first plain C, then filling, then `packed`.
 */
export class LayoutTable {
  readonly #layouts = new Map<number, CompositeLayout>();

  constructor(readonly btf: Btf) {}

  /** @throws BtfError BTF_LAYOUT for types that contain themselves, or have members without a size */
  of(type: CompositeType, depth = 0): CompositeLayout {
    const known = this.#layouts.get(type.id);
    if (known !== undefined) return known;
    if (depth > DEPTH_MAX) {
      throw new BtfError('BTF_LAYOUT', `${type.kind} ${type.name} is nested deeper than ${DEPTH_MAX}`);
    }
    const aligns = type.members.map((member) => this.#alignOf(member.typeId, depth + 1));
    const sizes = type.members.map((member) => this.#sizeOf(member));
    const plain = this.#explain(type, aligns, sizes, false);
    const layout = plain ?? this.#explain(type, aligns, sizes, true) ?? UNEXPLAINED;
    this.#layouts.set(type.id, layout);
    return layout;
  }

  #sizeOf(member: Member): number {
    const type = this.btf.resolve(member.typeId);
    // Old compilers put the width of a bitfield into its type.
    if (type.kind === 'int' && member.bitfieldBits === 0 && type.bits !== type.bytes * 8) return type.bits;
    return member.bitfieldBits || this.btf.sizeOf(member.typeId) * 8;
  }

  #alignOf(id: number, depth: number): number {
    let type: BtfType = this.btf.resolve(id);
    for (let step = 0; type.kind === 'array' && step < DEPTH_MAX; step += 1) type = this.btf.resolve(type.typeId);
    switch (type.kind) {
      case 'ptr':
        return this.btf.pointerBytes;
      case 'int':
      case 'enum':
      case 'enum64':
      case 'float':
        return largestPowerOfTwo(type.bytes);
      case 'struct':
      case 'union':
        return this.of(type, depth).alignBytes;
      default:
        return 1;
    }
  }

  #explain(
    type: CompositeType,
    aligns: readonly number[],
    sizes: readonly number[],
    packed: boolean,
  ): CompositeLayout | undefined {
    const align = packed ? 1 : aligns.reduce((most, each) => Math.max(most, each), 1);
    const before: Filler[] = [];
    let cursor = 0;
    for (const [index, member] of type.members.entries()) {
      const width = sizes[index] as number;
      const start = type.kind === 'union' ? 0 : cursor;
      const bitfield = isBitfield(this.btf, member);
      const alignBits = (packed ? 1 : (aligns[index] as number)) * 8;
      const natural = bitfield && (packed || fits(start, width, alignBits)) ? start : roundUp(start, alignBits);
      const filler = this.#fillTo(member.offsetBits, start, natural, bitfield, alignBits, width);
      if (filler === undefined) return undefined;
      before.push(filler);
      cursor = Math.max(cursor, member.offsetBits + width);
    }
    return this.#finish(type, { packed, align, before, cursor });
  }

  #fillTo(
    offset: number,
    start: number,
    natural: number,
    bitfield: boolean,
    alignBits: number,
    width: number,
  ): Filler | undefined {
    if (offset === natural) return NO_FILLER;
    if (offset < natural) return undefined;
    if (bitfield ? !fits(offset, width, alignBits) && alignBits > 8 : offset % alignBits !== 0) return undefined;
    return fill(start, offset);
  }

  #finish(
    type: CompositeType,
    parts: { packed: boolean; align: number; before: readonly Filler[]; cursor: number },
  ): CompositeLayout | undefined {
    const { packed, align, before, cursor } = parts;
    const total = type.bytes * 8;
    const base = { packed, before, atEnd: NO_FILLER, alignedBytes: undefined, alignBytes: align };
    const natural = roundUp(cursor, align * 8);
    if (natural === total || (type.members.length === 0 && type.bytes === 0)) return base;
    if (natural > total) return undefined;
    const flexible = this.#endsFlexibly(type);
    if (type.kind === 'struct' && !flexible) {
      return total % (align * 8) === 0 ? { ...base, atEnd: fill(cursor, total) } : undefined;
    }
    // A union, or a struct behind whose last member nothing can stand: only a larger alignment explains its size.
    for (let aligned = align * 2; aligned <= 4096; aligned *= 2) {
      if (roundUp(cursor, aligned * 8) === total) return { ...base, alignedBytes: aligned, alignBytes: aligned };
    }
    return type.kind === 'union' ? { ...base, atEnd: fill(0, total) } : undefined;
  }

  #endsFlexibly(type: CompositeType): boolean {
    const last = type.members.at(-1);
    const resolved = last === undefined ? undefined : this.btf.resolve(last.typeId);
    return resolved?.kind === 'array' && resolved.count === 0;
  }
}

/** Nothing that C can say: the members are written as they are. */
const UNEXPLAINED: CompositeLayout = {
  packed: true,
  alignedBytes: undefined,
  before: [],
  atEnd: NO_FILLER,
  alignBytes: 1,
};

function isBitfield(btf: Btf, member: Member): boolean {
  if (member.bitfieldBits !== 0) return true;
  const type = btf.resolve(member.typeId);
  return type.kind === 'int' && type.bits !== type.bytes * 8;
}

/** Whether a bitfield stays inside one aligned word of its type. */
function fits(start: number, width: number, wordBits: number): boolean {
  return Math.floor(start / wordBits) === Math.floor((start + Math.max(width, 1) - 1) / wordBits);
}

function roundUp(bits: number, to: number): number {
  return Math.ceil(bits / to) * to;
}

function largestPowerOfTwo(bytes: number): number {
  let power = 1;
  while (power * 2 <= bytes && power < 16) power *= 2;
  return power;
}

/** Unnamed bitfields that stay inside aligned words, so that every compiler puts them where they are meant to be. */
function fill(from: number, to: number): Filler {
  const units: (8 | 16 | 32 | 64)[] = [];
  const widths: number[] = [];
  let at = from;
  if (at % 8 !== 0) {
    const width = Math.min(to - at, 8 - (at % 8));
    units.push(8);
    widths.push(width);
    at += width;
  }
  if (to - at > FILLER_WORDS_MAX * 64) {
    const bytes = Math.floor((to - at) / 8);
    return { units, widths, bytes };
  }
  while (at < to) {
    const unit = ([64, 32, 16, 8] as const).find((bits) => at % bits === 0 && to - at >= bits) ?? 8;
    units.push(unit);
    widths.push(Math.min(unit, to - at));
    at += Math.min(unit, to - at);
  }
  return { units, widths, bytes: 0 };
}
