/** A C type made at random, with one value of it twice: as this library takes it and as a C initialiser. */
export interface RandomType {
  /** Declarations that must stand before a use of the type. */
  readonly declarations: string;
  /** The declaration of a variable or member of that name. */
  readonly declare: (name: string) => string;
  readonly value: unknown;
  readonly initializer: string;
}

interface RandomMember {
  readonly declarations: string;
  readonly text: string;
  readonly value: object;
  readonly initializer: string;
}

type Random = () => number;

const DEPTH_MAX = 3;
const TEXT = 'aZ09 _é漢"\\';

/** The same seed gives the same types. */
export class RandomTypes {
  #names = 0;

  constructor(readonly random: Random) {}

  struct(depth = 0): RandomType {
    const name = `s${this.#name()}`;
    const members = Array.from({ length: 1 + this.#below(6) }, () => this.#member(depth));
    const packed = this.random() < 0.25 ? '__attribute__((packed)) ' : '';
    const body = members.map((member) => member.text).join(' ');
    return {
      declarations: `${members.map((member) => member.declarations).join('')}struct ${packed}${name} { ${body} };\n`,
      declare: (variable) => `struct ${name} ${variable}`,
      value: Object.assign({}, ...members.map((member) => member.value)),
      initializer: `{ ${members.map((member) => member.initializer).join(', ')} }`,
    };
  }

  #member(depth: number): RandomMember {
    const kind = this.#below(10);
    if (kind === 0 && depth < DEPTH_MAX) return this.#anonymous(depth);
    if (kind <= 2) return this.#bitfield();
    const name = `m${this.#name()}`;
    const type = this.#type(depth);
    return {
      declarations: type.declarations,
      text: `${type.declare(name)};`,
      value: { [name]: type.value },
      initializer: `.${name} = ${type.initializer}`,
    };
  }

  #anonymous(depth: number): RandomMember {
    const parts = Array.from({ length: 2 }, () => this.#member(depth + 1));
    const declarations = parts.map((part) => part.declarations).join('');
    const text = parts.map((part) => part.text).join(' ');
    if (this.random() < 0.5) {
      return {
        declarations,
        text: `struct { ${text} };`,
        value: Object.assign({}, ...parts.map((part) => part.value)),
        initializer: parts.map((part) => part.initializer).join(', '),
      };
    }
    const arm = parts[this.#below(2)] as (typeof parts)[number];
    return { declarations, text: `union { ${text} };`, value: arm.value, initializer: arm.initializer };
  }

  #bitfield(): RandomMember {
    const name = `m${this.#name()}`;
    const [type, bitsMax, signed] = this.#pick([
      ['unsigned char', 8, false],
      ['int', 32, true],
      ['unsigned int', 32, false],
      ['unsigned long long', 64, false],
      ['long long', 64, true],
    ] as const);
    const bits = 1 + this.#below(bitsMax);
    const { value, initializer } = this.#integer(bits, signed);
    return {
      declarations: '',
      text: `${type} ${name} : ${bits};`,
      value: { [name]: value },
      initializer: `.${name} = ${initializer}`,
    };
  }

  #type(depth: number): RandomType {
    const kind = this.#below(12);
    if (kind === 0 && depth < DEPTH_MAX) return this.struct(depth + 1);
    if (kind === 1 && depth < DEPTH_MAX) return this.#array(depth);
    if (kind === 2) return this.#text();
    if (kind === 3) return this.#enum();
    if (kind === 4) return this.#pointer();
    if (kind === 5) return this.#float();
    if (kind === 6) return this.#bytes();
    if (kind === 7) return this.#scalar('_Bool', this.random() < 0.5, (value) => (value ? '1' : '0'));
    const [type, bits, signed] = this.#pick([
      ['signed char', 8, true],
      ['unsigned char', 8, false],
      ['short', 16, true],
      ['unsigned short', 16, false],
      ['int', 32, true],
      ['unsigned int', 32, false],
      ['long long', 64, true],
      ['unsigned long long', 64, false],
      ['__int128', 128, true],
      ['unsigned __int128', 128, false],
    ] as const);
    const { value, initializer } = this.#integer(bits, signed);
    return this.#scalar(type, value, () => initializer);
  }

  #scalar<T>(type: string, value: T, initializer: (value: T) => string): RandomType {
    return { declarations: '', declare: (name) => `${type} ${name}`, value, initializer: initializer(value) };
  }

  #array(depth: number): RandomType {
    const element = this.#type(depth + 1);
    const count = 1 + this.#below(3);
    // One type has one value, so the elements are equal: other tests tell them apart.
    return {
      declarations: element.declarations,
      declare: (name) => element.declare(`${name}[${count}]`),
      value: Array.from({ length: count }, () => element.value),
      initializer: `{ ${Array.from({ length: count }, () => element.initializer).join(', ')} }`,
    };
  }

  #text(): RandomType {
    const bytesMax = 1 + this.#below(12);
    let text = '';
    for (let index = this.#below(bytesMax + 1); index > 0; index -= 1) text += this.#pick([...TEXT]);
    while (new TextEncoder().encode(text).length > bytesMax) text = text.slice(0, -1);
    return {
      declarations: '',
      declare: (name) => `char ${name}[${bytesMax}]`,
      value: text,
      initializer: `{ ${[...new TextEncoder().encode(text), 0].slice(0, bytesMax).join(', ')} }`,
    };
  }

  #bytes(): RandomType {
    const bytes = Uint8Array.from({ length: 1 + this.#below(9) }, () => this.#below(256));
    return {
      declarations: '',
      declare: (name) => `unsigned char ${name}[${bytes.length}]`,
      value: bytes,
      initializer: `{ ${bytes.join(', ')} }`,
    };
  }

  #enum(): RandomType {
    const name = `e${this.#name()}`;
    const values = [`${name}_LOW`, `${name}_HIGH`];
    const numbers = this.random() < 0.5 ? [-7, 2147483647] : [0, 4294967295];
    const named = this.random() < 0.8;
    const index = this.#below(2);
    const unnamed = 5 + this.#below(100);
    return {
      declarations: `enum ${name} { ${values.map((value, at) => `${value} = ${numbers[at]}`).join(', ')} };\n`,
      declare: (variable) => `enum ${name} ${variable}`,
      value: named ? values[index] : unnamed,
      initializer: named ? (values[index] as string) : String(unnamed),
    };
  }

  #pointer(): RandomType {
    const { value, initializer } = this.#integer(64, false);
    const address = typeof value === 'bigint' ? value : BigInt(value);
    return this.#scalar('void *', address, () => `(void *)${initializer}`);
  }

  #float(): RandomType {
    const type = this.#pick(['float', 'double']);
    const value = Math.fround((this.random() - 0.5) * 2 ** this.#below(40));
    return this.#scalar(type, value, () => value.toExponential(17));
  }

  #integer(bits: number, signed: boolean): { value: number | bigint; initializer: string } {
    let word = 0n;
    for (let at = 0; at < bits; at += 32) word = (word << 32n) | BigInt(this.#below(2 ** 32));
    const edge = this.#below(6);
    if (edge === 0) word = 0n;
    if (edge === 1) word = (1n << BigInt(bits)) - 1n;
    if (edge === 2) word = 1n << BigInt(bits - 1);
    const value = signed ? BigInt.asIntN(bits, word) : BigInt.asUintN(bits, word);
    const raw = BigInt.asUintN(128, value);
    const halves = `((unsigned __int128)${raw >> 64n}ULL << 64 | ${raw & 0xffff_ffff_ffff_ffffn}ULL)`;
    const initializer = bits > 64 ? halves : `${BigInt.asUintN(64, value)}ULL`;
    return { value: bits > 32 ? value : Number(value), initializer };
  }

  #name(): number {
    this.#names += 1;
    return this.#names;
  }

  #below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }
}
