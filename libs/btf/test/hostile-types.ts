import type { BtfType, Member } from '../src/types/types.js';

/** Names that objects ask for, that collide, that are no names, and that mean something to JavaScript or C. */
const NAMES = [
  ...[
    '',
    '',
    's',
    's',
    'in',
    'e',
    's___flavour',
    'task_struct',
    'a',
    'b',
    'l',
    'x',
    'next',
    'v',
    'u',
    'tail',
    'ONE',
    'TWO',
  ],
  ...[
    'int',
    'long unsigned int',
    'char',
    '_Bool',
    '__proto__',
    'constructor',
    'while',
    'a b',
    'x;}',
    '/*',
    'naïve',
    '___',
    'a___b',
  ],
];
const SIZES = [0, 1, 2, 3, 4, 8, 16, 24, 64, 255, 4096, 0x7fff_ffff, 0xffff_ffff];
const KINDS = [
  'ptr',
  'typedef',
  'const',
  'volatile',
  'restrict',
  'array',
  'struct',
  'union',
  'struct',
  'int',
  'int',
  'enum',
  'enum64',
] as const;
const RARE_KINDS = ['fwd', 'func', 'func_proto', 'var', 'datasec', 'float', 'decl_tag', 'type_tag'] as const;

/**
 * A type of any kind whose references go anywhere among `count` types, themselves and a little past the end: what a kernel's
 * BTF could be if somebody made it to do harm. Whatever comes can be written, and little of it makes sense.
 */
export function randomType(random: () => number, count: number): BtfType {
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = <T>(choices: readonly T[]): T => choices[below(choices.length)] as T;
  const name = pick(NAMES);
  const typeId = below(count + 2);
  const base = { id: 0, name };
  const kind = random() < 0.2 ? pick(RARE_KINDS) : pick(KINDS);
  switch (kind) {
    case 'int': {
      const bytes = pick([1, 2, 4, 8, 16]);
      const bits = random() < 0.8 ? bytes * 8 : below(bytes * 8 + 1);
      const offsetBits = random() < 0.9 ? 0 : below(64);
      // What is called char counts as one.
      return {
        ...base,
        kind,
        bytes,
        bits,
        offsetBits,
        signed: random() < 0.5,
        isBool: random() < 0.1,
        isChar: name === 'char',
      };
    }
    case 'array':
      return { ...base, name: '', kind, typeId, indexTypeId: 1, count: pick(SIZES) };
    case 'struct':
    case 'union': {
      const withWidths = random() < 0.3;
      const members = Array.from({ length: below(6) }, (): Member => ({
        name: pick(NAMES),
        typeId: below(count + 2),
        offsetBits: random() < 0.7 ? below(16) * 32 : below(0xff_ffff),
        bitfieldBits: withWidths ? below(70) : 0,
      }));
      return { ...base, kind, bytes: pick(SIZES), members };
    }
    case 'enum':
    case 'enum64': {
      const values = Array.from({ length: below(4) }, (_, index) => ({ name: pick(NAMES), value: BigInt(index) }));
      return { ...base, kind, bytes: pick([1, 2, 4, 8]), signed: random() < 0.5, values };
    }
    case 'fwd':
      return { ...base, kind, of: pick(['struct', 'union'] as const) };
    case 'func':
    case 'var':
      return { ...base, kind, typeId, linkage: pick(['static', 'global', 'extern'] as const) };
    case 'func_proto': {
      const parameters = Array.from({ length: below(4) }, () => ({ name: pick(NAMES), typeId: below(count + 2) }));
      return { ...base, kind, returnTypeId: typeId, parameters };
    }
    case 'datasec':
      return { ...base, kind, bytes: pick(SIZES), variables: [{ typeId, offset: pick(SIZES), bytes: pick(SIZES) }] };
    case 'float':
      return { ...base, kind, bytes: pick([2, 4, 8, 12, 16]) };
    case 'decl_tag':
      return { ...base, kind, typeId, componentIndex: below(3) - 1, isAttribute: random() < 0.5 };
    case 'type_tag':
      return { ...base, kind, typeId, isAttribute: random() < 0.5 };
    default:
      return { ...base, kind, typeId };
  }
}
