import { essentialName } from '../core/names.js';
import type { RawBtf } from './record.js';
import type { BtfKind } from './types.js';
import { BTF_KINDS } from './types.js';

/** A kernel's own limit on names (KSYM_NAME_LEN); longer ones are not found. */
const NAME_CHARS_MAX = 512;

/** Finds types by name. Built once, at the first question: a kernel has 100,000 names, and most are never asked for. */
export class NameIndex {
  /** By name, all ids of whatever kind, in their order. */
  readonly #ids = new Map<string, number | number[]>();
  readonly #flavours = new Map<string, Set<string>>();

  constructor(readonly raw: RawBtf) {
    const { offsets, view, littleEndian, firstId } = raw;
    for (let index = 0; index < offsets.length; index += 1) {
      const nameOffset = view.getUint32(offsets[index] as number, littleEndian);
      if (nameOffset !== 0) this.#add(raw.stringAt(nameOffset), firstId + index);
    }
  }

  idsOf(kind: BtfKind, name: string): number[] {
    const found = this.#ids.get(name);
    if (found === undefined) return [];
    const ids = typeof found === 'number' ? [found] : found;
    return ids.filter((id) => this.#kindOf(id) === kind);
  }

  /** Names that are `name` with a flavour. */
  flavoursOf(name: string): Iterable<string> {
    return this.#flavours.get(name) ?? [];
  }

  #add(name: string, id: number): void {
    if (name.length > NAME_CHARS_MAX) return;
    const before = this.#ids.get(name);
    if (before === undefined) this.#ids.set(name, id);
    else if (typeof before === 'number') this.#ids.set(name, [before, id]);
    else before.push(id);
    if (before !== undefined || !name.includes('___')) return;
    const essential = essentialName(name);
    if (essential === name) return;
    const names = this.#flavours.get(essential);
    if (names === undefined) this.#flavours.set(essential, new Set([name]));
    else names.add(name);
  }

  #kindOf(id: number): BtfKind | undefined {
    const { offsets, view, littleEndian, firstId } = this.raw;
    const info = view.getUint32((offsets[id - firstId] as number) + 4, littleEndian);
    return BTF_KINDS[(info >>> 24) & 0x1f];
  }
}
