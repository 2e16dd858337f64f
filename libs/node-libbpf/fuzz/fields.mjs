// Where an object says something: each field has a place, a width and a kind, which tells what values are worth trying there.
import { readSections, SECTION_HEADER_BYTES, SYMBOL_BYTES } from './elf-image.mjs';

const BTF_RECORD_BYTES = 12;

const field = (at, width, kind) => ({ at, width, kind });

const header = () => [
  field(4, 1, 'small'), field(5, 1, 'small'), field(6, 1, 'small'), field(16, 2, 'small'), field(18, 2, 'small'), field(20, 4, 'small'),
  field(32, 8, 'size'), field(40, 8, 'size'), field(48, 4, 'word'), field(52, 2, 'small'), field(54, 2, 'small'), field(56, 2, 'count'),
  field(58, 2, 'small'), field(60, 2, 'count'), field(62, 2, 'section'),
]; // prettier-ignore

const sectionFields = (at) => [
  field(at, 4, 'elfName'), field(at, 4, 'elfName'), field(at + 4, 4, 'small'), field(at + 8, 8, 'flags'), field(at + 16, 8, 'size'), field(at + 24, 8, 'size'),
  field(at + 32, 8, 'size'), field(at + 32, 8, 'size'), field(at + 40, 4, 'section'), field(at + 44, 4, 'section'), field(at + 48, 8, 'size'), field(at + 56, 8, 'size'),
]; // prettier-ignore

const symbolFields = (at) => [
  field(at, 4, 'elfName'), field(at + 4, 1, 'small'), field(at + 5, 1, 'small'), field(at + 6, 2, 'section'), field(at + 8, 8, 'size'), field(at + 16, 8, 'size'),
]; // prettier-ignore

const relocationFields = (at) => [field(at, 8, 'size'), field(at + 8, 4, 'small'), field(at + 12, 4, 'symbol')];

const trailerWords = {
  1: () => ['word'],
  3: () => ['type', 'type', 'count'],
  4: (vlen) => Array(vlen).fill(['btfName', 'type', 'size']).flat(),
  5: (vlen) => Array(vlen).fill(['btfName', 'type', 'size']).flat(),
  6: (vlen) => Array(vlen).fill(['btfName', 'word']).flat(),
  13: (vlen) => Array(vlen).fill(['btfName', 'type']).flat(),
  14: () => ['small'],
  15: (vlen) => Array(vlen).fill(['type', 'size', 'size']).flat(),
  17: () => ['small'],
  19: (vlen) => Array(vlen).fill(['btfName', 'word', 'word']).flat(),
}; // prettier-ignore

/** BTF types: their place, bytes, kind and fields. */
function typesOf(bytes, section) {
  const start = section.offset + bytes.readUInt32LE(section.offset + 4) + bytes.readUInt32LE(section.offset + 8);
  const end = start + bytes.readUInt32LE(section.offset + 12);
  const types = [];
  for (let at = start; at < end;) {
    const info = bytes.readUInt32LE(at + 4);
    const kind = (info >>> 24) & 0x1f;
    const words = trailerWords[kind]?.(info & 0xffff) ?? [];
    const third = [1, 4, 5, 6, 15, 19].includes(kind) ? 'size' : 'type';
    const fields = [
      field(at, 4, 'btfName'),
      field(at + 4, 2, 'count'),
      field(at + 7, 1, 'btfKind'),
      field(at + 8, 4, third),
    ];
    words.forEach((what, index) => fields.push(field(at + BTF_RECORD_BYTES + index * 4, 4, what)));
    types.push({ at, bytes: BTF_RECORD_BYTES + words.length * 4, kind, fields });
    at += BTF_RECORD_BYTES + words.length * 4;
  }
  return types;
}

const EXT_RECORDS = [
  { header: 8, words: ['size', 'type'] },
  { header: 16, words: ['size', 'btfName', 'btfName', 'word'] },
  { header: 24, words: ['size', 'type', 'btfName', 'small'] },
];

/** Records of .BTF.ext: functions, lines, CO-RE relocations, and the heads of their groups. */
function extRecordsOf(bytes, section) {
  const base = section.offset + bytes.readUInt32LE(section.offset + 4);
  const records = [];
  for (const { header: where, words } of EXT_RECORDS) {
    if (where + 8 > bytes.readUInt32LE(section.offset + 4)) continue;
    let at = base + bytes.readUInt32LE(section.offset + where);
    const end = at + bytes.readUInt32LE(section.offset + where + 4);
    if (at >= end) continue;
    const recordBytes = bytes.readUInt32LE(at);
    records.push({ at, bytes: 4, group: `size${where}`, fields: [field(at, 4, 'size')] });
    at += 4;
    while (at < end) {
      const count = bytes.readUInt32LE(at + 4);
      records.push({
        at,
        bytes: 8,
        group: `head${where}`,
        fields: [field(at, 4, 'btfName'), field(at + 4, 4, 'count')],
      });
      at += 8;
      for (let i = 0; i < count; i += 1, at += recordBytes) {
        const fields = words.map((what, index) => field(at + index * 4, 4, what));
        records.push({ at, bytes: recordBytes, group: `record${where}`, fields });
      }
    }
  }
  return records;
}

const words32 = (start, count) => Array.from({ length: count }, (_, index) => field(start + index * 4, 4, 'size'));

const recordsOf = (section, bytes, fields) =>
  Array.from({ length: Math.floor(section.size / bytes) }, (_, index) => {
    const at = section.offset + index * bytes;
    return { at, bytes, fields: fields(at) };
  });

function byGroup(records, key) {
  const groups = new Map();
  for (const record of records) {
    const group = groups.get(key(record));
    if (group === undefined) groups.set(key(record), [record]);
    else group.push(record);
  }
  return [...groups.values()];
}

/**
 * Everything in an object that can be said otherwise. A record is { at, bytes, fields }; `records` are lists of lists of them,
 * each inner list of one sort, so that one can be written over another.
 */
export function survey(bytes) {
  const sections = readSections(bytes);
  const named = (name) => sections.find((section) => section.name === name);
  const names = sections[bytes.readUInt16LE(62)];
  const symbols = sections.filter(({ type }) => type === 2);
  const relocations = sections.filter(({ type }) => type === 9);
  const btf = named('.BTF');
  const ext = named('.BTF.ext');
  const types = btf === undefined ? [] : typesOf(bytes, btf);
  const code = sections.filter(({ type, name }) => type === 1 && /^[a-z?.]/.test(name) && !name.startsWith('.BTF'));
  return {
    sections,
    typeCount: types.length + 1,
    symbolCount: symbols.reduce((sum, { size }) => sum + size / SYMBOL_BYTES, 0),
    elfNames: stringStarts(bytes, names.offset, names.offset + names.size),
    btfNames: btf === undefined ? [0] : btfStringStarts(bytes, btf),
    records: {
      header: [[{ at: 0, bytes: 64, fields: header() }]],
      sections: [
        sections.map((section) => ({
          at: section.header,
          bytes: SECTION_HEADER_BYTES,
          fields: sectionFields(section.header),
        })),
      ],
      symbols: symbols.map((section) => recordsOf(section, SYMBOL_BYTES, symbolFields)),
      relocations: relocations.map((section) => recordsOf(section, 16, relocationFields)),
      btfHeader: btf === undefined ? [] : [[{ at: btf.offset, bytes: 24, fields: words32(btf.offset, 6) }]],
      btfTypes: byGroup(types, ({ kind }) => kind),
      extHeader: ext === undefined ? [] : [[{ at: ext.offset, bytes: 32, fields: words32(ext.offset, 8) }]],
      extRecords: ext === undefined ? [] : byGroup(extRecordsOf(bytes, ext), ({ group }) => group),
      code: code.filter(({ size }) => size >= 8).map((section) => recordsOf(section, 8, instructionFields)),
    },
  };
}

/** The same for BTF that is not in an ELF file, as `btfCustomPath` takes it. */
export function surveyBtf(bytes) {
  const section = { name: '.BTF', type: 1, offset: 0, size: bytes.length };
  const types = typesOf(bytes, section);
  return {
    sections: [section],
    typeCount: types.length + 1,
    symbolCount: 0,
    elfNames: [0],
    btfNames: btfStringStarts(bytes, section),
    records: {
      btfHeader: [[{ at: 0, bytes: 24, fields: words32(0, 6) }]],
      btfTypes: byGroup(types, ({ kind }) => kind),
    },
  };
}

/** The same for a program or library of this machine, of which libbpf reads symbols, versions and notes. */
export function surveyProgram(bytes) {
  const sections = readSections(bytes);
  const symbols = sections.filter(({ type }) => type === 2 || type === 11);
  const notes = sections.filter(({ type, name, size }) => size > 0 && (type === 7 || name.startsWith('.gnu.version')));
  const segments = Array.from({ length: bytes.readUInt16LE(56) }, (_, i) => Number(bytes.readBigUInt64LE(32)) + i * 56);
  return {
    sections,
    typeCount: 1,
    symbolCount: 1,
    elfNames: [0, 1, 5, 9],
    btfNames: [0],
    records: {
      header: [[{ at: 0, bytes: 64, fields: header() }]],
      sections: [
        sections.map(({ header: at }) => ({ at, bytes: SECTION_HEADER_BYTES, fields: sectionFields(at) })),
        segments.map((at) => ({ at, bytes: 56, fields: segmentFields(at) })),
      ],
      symbols: symbols.map((section) => recordsOf(section, SYMBOL_BYTES, symbolFields)),
      code: notes.map((section) => recordsOf(section, 4, (at) => [field(at, 4, 'size')])),
    },
  };
}

const segmentFields = (at) => [
  field(at, 4, 'small'),
  field(at + 4, 4, 'small'),
  ...[8, 16, 24, 32, 40, 48].map((word) => field(at + word, 8, 'size')),
];

const instructionFields = (at) => [
  field(at, 1, 'opcode'),
  field(at + 1, 1, 'small'),
  field(at + 2, 2, 'word'),
  field(at + 4, 4, 'size'),
];

function stringStarts(bytes, start, end) {
  const starts = [0];
  for (let at = start; at < end; at += 1) if (bytes[at] === 0) starts.push(at + 1 - start);
  return starts;
}

function btfStringStarts(bytes, section) {
  const start = section.offset + bytes.readUInt32LE(section.offset + 4) + bytes.readUInt32LE(section.offset + 16);
  return stringStarts(bytes, start, start + bytes.readUInt32LE(section.offset + 20));
}
