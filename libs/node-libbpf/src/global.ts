import type { Btf, BtfValue, GlobalVariable } from '@bpfleet/btf';
import { variablesOf } from '@bpfleet/btf';
import type { ObjectTypes, TypeCodec } from './btf-types.js';
import { translated, typeCodec } from './btf-types.js';
import { encoded } from './codec.js';
import { argumentError, LibbpfError } from './errors.js';

/** The sections that libbpf makes maps of and that C calls variables; `.kconfig` and `.ksyms` belong to the kernel. */
const dataSection = /^\.(rodata|data|bss)(\..*)?$/;

/** @internal The bytes of `.rodata`, `.data` or `.bss`, before or after the load. */
export interface GlobalSection {
  readonly name: string;
  readonly bytes: number;
  /** Why this variable cannot be set any more. */
  readonly refusal: string | undefined;
  read(operation: string, offset: number, bytes: number): Buffer;
  write(operation: string, offset: number, value: Buffer): void;
}

/**
 * A global variable of a BPF object, through its BTF type. Of an ObjectSpec it is the value that load() will give it; of a
 * BpfObject it is the variable that programs see, and lives as long as the object.
 */
export class Global<Value = BtfValue> {
  readonly name: string;
  /** `.rodata`, `.data`, `.bss`, or one of their named variants. */
  readonly section: string;
  readonly bytes: number;
  /** In `.rodata`: the verifier takes its value for granted, and it cannot change once the object is loaded. */
  readonly isConst: boolean;
  readonly #variable: GlobalVariable;
  readonly #btf: Btf;
  readonly #bytesOf: GlobalSection;
  #codec: TypeCodec<Value> | undefined;

  /** @internal */
  constructor(btf: Btf, variable: GlobalVariable, section: GlobalSection) {
    this.name = variable.name;
    this.section = variable.section;
    this.bytes = variable.bytes;
    this.isConst = variable.section.startsWith('.rodata');
    this.#variable = variable;
    this.#btf = btf;
    this.#bytesOf = section;
  }

  /** As C declares it: `const volatile __u32`. */
  get type(): string {
    const operation = `read the type of ${this.name}`;
    return translated(operation, () => this.#btf.printDeclaration(this.#variable.typeId));
  }

  get(): Value {
    const operation = `read ${this.name}`;
    const codec = this.#typed();
    return codec.decode(this.#bytesOf.read(operation, this.#variable.offset, codec.bytes), 0);
  }

  /**
   * In a loaded object the kernel's own memory is written (≥ 5.5; below, the whole section is, and what programs write to it
   * meanwhile is lost): a variable of 1, 2, 4 or 8 bytes in one store, a larger one byte by byte under the programs' eyes.
   * Throws BPF_ARGUMENT for what does not fit the type, and for constants that are loaded or that the compiler has used up.
   */
  set(value: Value): void {
    const operation = `set ${this.name}`;
    const refusal = this.#refusal();
    if (refusal !== undefined) throw argumentError(operation, refusal);
    this.#bytesOf.write(operation, this.#variable.offset, encoded(this.#typed(), value));
  }

  #refusal(): string | undefined {
    if (this.#bytesOf.refusal !== undefined || !this.isConst || this.#variable.tunable) return this.#bytesOf.refusal;
    return 'it is const and not volatile, so the compiler has put its value into the code: declare it const volatile';
  }

  #typed(): TypeCodec<Value> {
    if (this.#codec !== undefined) return this.#codec;
    const operation = `set ${this.name}`;
    const codec = typeCodec<Value>(operation, this.name, this.#btf, this.#variable.typeId);
    // What the section's BTF says of its variable and what the variable's type says need not agree.
    if (this.#variable.offset + codec.bytes > this.#bytesOf.bytes) {
      throw new LibbpfError('BPF_BTF', operation, 0, `its type reaches past the end of ${this.section}`);
    }
    this.#codec = codec;
    return codec;
  }
}

/** @internal All variables of these sections; none when the object has no types. */
export function globalsOf(types: ObjectTypes, sections: readonly GlobalSection[]): Global[] {
  const data = sections.filter(({ name }) => dataSection.test(name));
  const { btf } = types;
  if (btf === undefined) return [];
  return data.flatMap((section) => {
    const variables = translated(`read the variables of ${section.name}`, () => variablesOf(btf, section));
    return variables.map((variable) => new Global(btf, variable, section));
  });
}
