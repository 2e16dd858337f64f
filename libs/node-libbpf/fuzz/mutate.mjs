// Says things otherwise in an object: a seeded list of edits. An edit is { what, at, hex } or { what, cut }, so that a finding
// can be written down, made again and made smaller without this file.

const GROUP_WEIGHTS = [
  [2, 'header'], [16, 'sections'], [14, 'symbols'], [14, 'relocations'], [2, 'btfHeader'], [26, 'btfTypes'], [2, 'extHeader'], [12, 'extRecords'], [6, 'code'],
]; // prettier-ignore
const OPERATION_WEIGHTS = [[80, 'field'], [10, 'copy'], [5, 'bytes'], [4, 'string'], [1, 'cut']]; // prettier-ignore
const OPCODES = [0x85, 0x18, 0x05, 0x95, 0x61, 0x79, 0x7b, 0xb7, 0xbf, 0x55, 0xc6, 0xdb, 0x00, 0xff];
const EXTREMES = [0n, 1n, 2n, 3n, 4n, 7n, 8n, 16n, 0x7fn, 0xffn, 0x7fffn, 0xffffn, 0x10000n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_fff8n, 0xffff_ffffn,
  0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_fff0n, 0xffff_ffff_ffff_fff8n, 0xffff_ffff_ffff_ffffn]; // prettier-ignore

function read(bytes, at, width) {
  let value = 0n;
  for (let i = width - 1; i >= 0; i -= 1) value = (value << 8n) | BigInt(bytes[at + i]);
  return value;
}

function toHex(value, width) {
  let rest = BigInt.asUintN(width * 8, value);
  const bytes = Buffer.alloc(width);
  for (let i = 0; i < width; i += 1, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes.toString('hex');
}

/** One base and everything that is needed to draw mutations of it. */
export class Mutator {
  #bytes;
  #survey;

  constructor(bytes, survey) {
    this.#bytes = bytes;
    this.#survey = survey;
  }

  /** One edit in most cases, several in many: what one breaks, another may make whole again. */
  draw(random) {
    const edits = [];
    do {
      const edit = this.#edit(random);
      if (edit !== undefined) edits.push(edit);
    } while (edits.length === 0 || (edits.length < 12 && random.chance(0.55)));
    return edits;
  }

  #edit(random) {
    const operation = random.weighted(OPERATION_WEIGHTS);
    if (operation === 'bytes') return this.#randomBytes(random);
    if (operation === 'string') return this.#string(random);
    if (operation === 'cut') return { what: 'cut', cut: random.below(this.#bytes.length) };
    const group = random.weighted(GROUP_WEIGHTS);
    const lists = (this.#survey.records[group] ?? []).filter((list) => list.length > 0);
    if (lists.length === 0) return undefined;
    const list = random.pick(lists);
    const record = random.pick(list);
    if (operation === 'field') return this.#field(random, group, random.pick(record.fields));
    return this.#copy(random, group, list, record);
  }

  #field(random, group, { at, width, kind }) {
    return { what: `${group} ${kind}`, at, hex: toHex(this.#value(random, at, width, kind), width) };
  }

  #value(random, at, width, kind) {
    const { elfNames, btfNames, sections, typeCount, symbolCount } = this.#survey;
    const current = read(this.#bytes, at, width);
    const near = () => current + BigInt(random.pick([-16, -8, -4, -1, 1, 4, 8, 16]));
    const any = () => (BigInt(random.u32()) << 32n) | BigInt(random.u32());
    if (random.chance(0.15)) return random.pick(EXTREMES);
    if (random.chance(0.05)) return any();
    switch (kind) {
      case 'elfName':
        return random.chance(0.1) ? near() : BigInt(random.pick(elfNames));
      case 'btfName':
        return random.chance(0.1) ? near() : BigInt(random.pick(btfNames));
      case 'section':
        return random.weighted([[10, BigInt(random.below(sections.length + 1))], [1, 0xfff1n], [1, 0xfff2n], [1, 0xff00n]]); // prettier-ignore
      case 'type':
        return BigInt(random.below(typeCount + 1));
      case 'symbol':
        return BigInt(random.below(symbolCount + 1));
      case 'small':
        return BigInt(random.below(32));
      case 'btfKind':
        return BigInt(random.below(22) | (random.chance(0.2) ? 0x80 : 0));
      case 'opcode':
        return BigInt(random.pick(OPCODES));
      case 'count':
        return random.chance(0.5) ? near() : BigInt(random.below(64));
      case 'flags':
        return BigInt(random.below(8));
      default:
        return random.weighted([[4, near()], [2, BigInt(random.below(256)) * 8n], [1, BigInt(this.#bytes.length)], [1, current * 2n], [1, current / 2n]]); // prettier-ignore
    }
  }

  #copy(random, group, list, record) {
    const from = random.pick(list);
    const bytes = Math.min(from.bytes, record.bytes);
    return { what: `${group} copied`, at: record.at, hex: this.#bytes.toString('hex', from.at, from.at + bytes) };
  }

  #section(random) {
    return random.pick(this.#survey.sections.filter(({ size }) => size > 0));
  }

  #randomBytes(random) {
    const section = this.#section(random);
    const count = 1 + random.below(Math.min(16, section.size));
    const at = section.offset + random.below(section.size - count + 1);
    const bytes = Buffer.from(Array.from({ length: count }, () => random.u32() & 0xff));
    return { what: `bytes of ${section.name}`, at, hex: bytes.toString('hex') };
  }

  /** Unends a string table, or writes into the middle of a string. */
  #string(random) {
    const tables = this.#survey.sections.filter(({ type, name, size }) => size > 0 && (type === 3 || name === '.BTF'));
    if (tables.length === 0) return undefined;
    const table = random.pick(tables);
    const end = table.offset + table.size - 1;
    const at = random.chance(0.3) ? end : table.offset + random.below(table.size);
    return { what: `string of ${table.name}`, at, hex: random.pick(['00', '01', '2f', '25', '3a', 'ff', '41']) };
  }
}

/** The input that edits make of a base. */
export function applyEdits(base, edits) {
  let bytes = Buffer.from(base);
  for (const { at, hex, cut } of edits) {
    if (cut !== undefined) bytes = bytes.subarray(0, cut);
    else Buffer.from(hex, 'hex').copy(bytes, at);
  }
  return bytes;
}
