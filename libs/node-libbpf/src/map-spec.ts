import { requireBuffer, requireInteger, requireText } from './arguments.js';
import type { ObjectTypes } from './btf-types.js';
import { translated } from './btf-types.js';
import { argumentError } from './errors.js';
import type { GlobalSection } from './global.js';
import { BpfMap } from './map.js';
import type { NativeMapFacts } from './native.js';
import type { OpenedSpec } from './opened-spec.js';
import { SLOT_BYTES } from './slots-check.js';

/** What may be declared with slots (`values`), each of which libbpf fills at load. */
const SLOTTED_TYPES: ReadonlySet<string> = new Set(['array_of_maps', 'hash_of_maps', 'prog_array']);

/** A map of an object that is not loaded yet. Global data are maps too: `.rodata`, `.data`, `.bss`. */
export class MapSpec {
  readonly name: string;
  /** Type ids in the object's BTF; 0 where the map has none. */
  readonly btfKeyTypeId: number;
  readonly btfValueTypeId: number;
  /** It holds global variables, which ObjectSpec.globals knows by name. */
  readonly isGlobalData: boolean;
  readonly #spec: OpenedSpec;
  readonly #types: ObjectTypes;
  readonly #index: number;
  readonly #facts: NativeMapFacts;
  /** As declared: another type later does not take the slots away. */
  readonly #mayHaveSlots: boolean;

  /** @internal */
  constructor(spec: OpenedSpec, types: ObjectTypes, index: number, facts: NativeMapFacts) {
    this.name = facts.name;
    this.btfKeyTypeId = facts.btfKeyTypeId;
    this.btfValueTypeId = facts.btfValueTypeId;
    this.isGlobalData = facts.globalData;
    this.#spec = spec;
    this.#types = types;
    this.#index = index;
    this.#facts = { ...facts };
    this.#mayHaveSlots = SLOTTED_TYPES.has(facts.type);
  }

  get type(): string {
    return this.#facts.type;
  }

  /** Another type by its libbpf name, such as `perf_event_array` for a ring buffer below 5.8. */
  set type(value: string) {
    const operation = `set type of map ${this.name}`;
    this.#requireNoContent(operation);
    requireText(operation, 'type', value);
    this.#change('type', (object) => object.setMapType(this.#index, value));
    this.#facts.type = value;
  }

  get keyBytes(): number {
    return this.#facts.keyBytes;
  }

  get valueBytes(): number {
    return this.#facts.valueBytes;
  }

  /** Other sizes than the source says, which its types then do not fit. */
  setSizes(sizes: { keyBytes?: number; valueBytes?: number }): void {
    const operation = `set sizes of map ${this.name}`;
    this.#requireNoContent(operation);
    const keyBytes = requireInteger(operation, 'keyBytes', sizes.keyBytes ?? this.keyBytes, 0, 0xffff_ffff);
    const valueBytes = requireInteger(operation, 'valueBytes', sizes.valueBytes ?? this.valueBytes, 0, 0xffff_ffff);
    const isKept = keyBytes === this.keyBytes && valueBytes === this.valueBytes;
    if (this.#mayHaveSlots && !isKept && (keyBytes !== SLOT_BYTES || valueBytes !== SLOT_BYTES)) {
      const why = `libbpf fills the slots of a map declared as ${[...SLOTTED_TYPES].join(', ')} by indexes and descriptors`;
      throw argumentError(operation, `keyBytes and valueBytes must be ${SLOT_BYTES}: ${why} of that size`);
    }
    this.#change('sizes', (object) => object.setSizes(this.#index, keyBytes, valueBytes));
    Object.assign(this.#facts, { keyBytes, valueBytes });
  }

  get maxEntries(): number {
    return this.#facts.maxEntries;
  }

  /** Ring buffers are rounded up to a power of two of pages by libbpf; reading back says what it became. */
  set maxEntries(value: number) {
    const operation = `set maxEntries of map ${this.name}`;
    this.#requireNoContent(operation);
    requireInteger(operation, 'maxEntries', value, 1, 0xffff_ffff);
    this.#facts.maxEntries = this.#change('maxEntries', (object) => object.setMaxEntries(this.#index, value));
  }

  /** BPF_F_*, as for bpf(2). */
  get flags(): number {
    return this.#facts.flags;
  }

  set flags(value: number) {
    requireInteger(`set flags of map ${this.name}`, 'flags', value, 0, 0xffff_ffff);
    this.#change('flags', (object) => object.setFlags(this.#index, value));
    this.#facts.flags = value;
  }

  /** Whether load() creates it. Programs that use a map which is not created are refused, so turn off their autoload too. */
  get autocreate(): boolean {
    return this.#facts.autocreate;
  }

  set autocreate(value: boolean) {
    const wanted = value === true;
    this.#change('autocreate', (object) => object.setAutocreate(this.#index, wanted));
    this.#facts.autocreate = wanted;
  }

  get pinPath(): string | undefined {
    return this.#facts.pinPath;
  }

  /** Where load() pins it. A compatible map that is already there is taken instead of a new one. */
  set pinPath(value: string | undefined) {
    if (value !== undefined) requireText(`set pinPath of map ${this.name}`, 'pinPath', value);
    this.#change('pinPath', (object) => object.setPinPath(this.#index, value));
    this.#facts.pinPath = value;
  }

  /** The key's type as C writes it, such as `struct flow`; undefined where the map has none. */
  get keyType(): string | undefined {
    return this.#declaration('key', this.btfKeyTypeId);
  }

  /** The value's type as C writes it; undefined where the map has none. */
  get valueType(): string | undefined {
    return this.#declaration('value', this.btfValueTypeId);
  }

  /** A copy of the global data; undefined for maps that have none. */
  get initialValue(): Buffer | undefined {
    return this.#spec.opened(`read initialValue of map ${this.name}`).initialValue(this.#index);
  }

  set initialValue(value: Buffer) {
    const operation = `set initialValue of map ${this.name}`;
    const current = this.#spec.opened(operation).initialValue(this.#index);
    if (current === undefined) throw argumentError(operation, 'this map has no initial value');
    const bytes = Buffer.from(requireBuffer(operation, 'initialValue', value, current.length));
    this.#change('initialValue', (object) => object.setInitialValue(this.#index, bytes));
  }

  /** load() uses this existing map instead of creating one. It must have the same type and sizes. */
  reuse(map: BpfMap): void {
    const operation = `reuse a map for ${this.name}`;
    if (!(map instanceof BpfMap)) throw argumentError(operation, 'expected a BpfMap');
    // libbpf takes over whatever the descriptor is, and the program would meet another map than it was compiled for.
    if (map.type !== this.type || map.keyBytes !== this.keyBytes || map.valueBytes !== this.valueBytes) {
      const found = `a ${map.type} map with keys of ${map.keyBytes} and values of ${map.valueBytes} bytes`;
      throw argumentError(operation, `expected ${this.type}, ${this.keyBytes} and ${this.valueBytes}, not ${found}`);
    }
    if (this.#facts.hasContent && map.maxEntries !== this.maxEntries) {
      throw argumentError(operation, `expected ${this.maxEntries} entries, not ${map.maxEntries}`);
    }
    this.#spec.change('BPF_MAP', operation, `map ${this.#index} descriptor`, (object) =>
      object.reuseFd(this.#index, map.fd),
    );
  }

  /** @internal The variables of global data that is not loaded yet. */
  asSection(): GlobalSection {
    const content = (operation: string): Buffer => {
      const bytes = this.#spec.opened(operation).initialValue(this.#index);
      if (bytes === undefined) throw argumentError(operation, `${this.name} has no content`);
      return bytes;
    };
    return {
      name: this.name,
      bytes: this.valueBytes,
      refusal: undefined,
      read: (operation, offset, bytes) => content(operation).subarray(offset, offset + bytes),
      write: (operation, offset, value) => {
        const bytes = content(operation);
        value.copy(bytes, offset);
        this.initialValue = bytes;
      },
    };
  }

  #requireNoContent(operation: string): void {
    if (!this.#facts.hasContent) return;
    throw argumentError(operation, 'the type and sizes of global data and struct_ops are those of their content');
  }

  #declaration(side: string, id: number): string | undefined {
    const operation = `read the ${side} type of map ${this.name}`;
    this.#spec.opened(operation);
    return id === 0 ? undefined : translated(operation, () => this.#types.btf?.printDeclaration(id));
  }

  #change(what: string, apply: Parameters<OpenedSpec['change']>[3]): number {
    return this.#spec.change('BPF_ARGUMENT', `set ${what} of map ${this.name}`, `map ${this.#index} ${what}`, apply);
  }
}
