import { describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Section, Symbol } from '../fixtures/object-builder.js';
import { buildBtf, buildObject, KIND, NOBITS, REL, RETURN_ZERO } from '../fixtures/object-builder.js';
import { openObject } from './index.js';

// One of each kind of object that the fuzz run found. Without the check, each ended the process or never returned; what happens
// then is said beside it, for libbpf 1.5.

const code: Section = { name: 'xdp', flags: 6, data: RETURN_ZERO };
const license: Section = { name: 'license', flags: 3, data: Buffer.from('GPL\0') };
const main: Symbol = { name: 'main', section: 'xdp', bytes: 16n };
const extern: Symbol = { name: 'x', type: 0 };

const record = (
  name: string,
  kind: keyof typeof KIND,
  entries: number,
  sizeOrType: number,
  ...rest: (string | number)[]
) => [name, (KIND[kind] << 24) | entries, sizeOrType, ...rest];
const INT = record('int', 'int', 0, 4, 32);
const EXTERN = 2;
/** Offsets of members hold the sizes of bitfields too. */
const KFLAG = 1 << 31;

type Records = Parameters<typeof buildBtf>[0];
const withTypes = (records: Records, symbols: Symbol[] = [extern], more: Section[] = []): Buffer =>
  buildObject([code, license, ...more, { name: '.BTF', data: buildBtf(records) }], [main, ...symbols]);

const refused = (detail: string) =>
  expect.objectContaining({ name: 'LibbpfError', code: 'BPF_OPEN', message: expect.stringContaining(detail) });

describe('a well-formed object', () => {
  it('passes, made by hand', () => {
    const spec = openObject(withTypes([INT], []));
    expect(spec.programs.map(({ name, type }) => [name, type])).toEqual([['main', 'xdp']]);
    spec.close();
  });
});

describe('a malformed object', () => {
  it('whose instruction is cut in two by the end of its function is refused', () => {
    // libbpf writes the map into both halves: a write of 4 bytes behind the code (bpf_object__relocate_data).
    const half = { name: 'xdp', flags: 6, data: Buffer.from('1800000000000000', 'hex') };
    const bss = { name: '.bss', type: NOBITS, flags: 3, bytes: 8n };
    const relocation = Buffer.from('00000000000000000100000002000000', 'hex');
    const relocations = { name: '.relxdp', type: REL, link: 5, info: 1, entryBytes: 16, data: relocation };
    const symbols = [
      { ...main, bytes: 8n },
      { name: 'variable', section: '.bss', type: 1, bytes: 8n },
    ];
    const object = buildObject([half, license, bss, relocations], symbols);
    expect(() => openObject(object)).toThrow(refused('function main ends in the middle of an instruction'));
  });

  it('whose symbol reaches past its section is refused', () => {
    // The sum of offset and size wraps around 2³² to one inside the section: a read before it (init_struct_ops_maps).
    const section = { name: '.struct_ops', flags: 3, data: Buffer.alloc(64) };
    const types = [
      INT,
      record('s', 'struct', 0, 32),
      record('x', 'var', 0, 2, 1),
      record('.struct_ops', 'datasec', 1, 64, 3, 0, 32),
    ];
    const symbol = { name: 'x', section: '.struct_ops', type: 1, bytes: 32n };
    const object = (value: bigint) => withTypes(types, [{ ...symbol, value }], [section]);
    expect(() => openObject(object(0xffff_fff0n))).toThrow(refused('symbol x reaches past the end of .struct_ops'));
    expect(() => openObject(object(33n))).toThrow(refused('symbol x reaches past the end of .struct_ops'));
    openObject(object(32n)).close();
  });

  it('whose symbol is in no section is refused', () => {
    const object = withTypes([INT], []);
    object.writeUInt16LE(99, object.indexOf(Buffer.from([0x12, 0, 1, 0])) + 2);
    expect(() => openObject(object)).toThrow(refused('symbol main is in section 99, which is not there'));
  });

  it('that asks for more zeros than anyone has is refused', () => {
    const bss = { name: '.bss', type: NOBITS, flags: 3, bytes: 0x95a5_95ce_b81b_097an };
    expect(() => openObject(buildObject([code, license, bss], [main]))).toThrow(refused('section .bss has'));
  });

  it('with types that follow each other in a circle is refused', () => {
    // skip_mods_and_typedefs() does not count its steps.
    const circle = [record('a', 'typedef', 0, 2), record('b', 'const', 0, 1)];
    const types = [...circle, record('x', 'var', 0, 1, EXTERN), record('.ksyms', 'datasec', 1, 0, 3, 0, 4)];
    expect(() => openObject(withTypes(types))).toThrow(
      refused('type 1 is a chain of names and qualifiers without an end'),
    );
  });

  it('with a type whose size is no int is refused', () => {
    // A negative size is returned as the error of bpf_object__open_mem(), and not taken for one: it becomes a pointer.
    const big = record('big', 'struct', 0, 0xb590_30c3);
    const types = [INT, record('x', 'var', 0, 4, EXTERN), record('.kconfig', 'datasec', 1, 0, 2, 0, 4), big];
    expect(() => openObject(withTypes(types))).toThrow(refused('type 4 has 3046125763 bytes'));
  });

  it('whose section of variables holds something else is refused', () => {
    // libbpf writes the linkage of a variable behind the record, which here is the last.
    const types = (section: string) => [
      INT,
      record('x', 'var', 0, 1, EXTERN),
      record(section, 'datasec', 2, 0, 2, 0, 4, 4, 0, 4),
      record('x', 'typedef', 0, 1),
    ];
    expect(() => openObject(withTypes(types('.kconfig')))).toThrow(refused('section .kconfig holds a typedef'));
    expect(() => openObject(withTypes(types('.ksyms')))).toThrow(refused('section .ksyms holds a typedef'));
  });

  const mapOfType = (name: string, type: number) => [
    INT,
    record('', 'array', 0, 0, 1, 1, type),
    record('', 'ptr', 0, 2),
    record('', 'struct', 1, 8, 'type', 3, 0),
    record(name, 'var', 0, 4, 1),
    record('.maps', 'datasec', 1, 8, 5, 0, 8),
  ];
  const maps: Section = { name: '.maps', flags: 3, data: Buffer.alloc(8) };
  const mapNamed = (name: string): Symbol => ({ name, section: '.maps', type: 1, bytes: 8n });

  it('that declares a struct_ops map as an ordinary one is refused', () => {
    // Such a map has no data, which bpf_map__initial_value() reads all the same.
    const object = withTypes(mapOfType('m', 26), [mapNamed('m')], [maps]);
    expect(() => openObject(object)).toThrow(refused('map m is declared in .maps with the type struct_ops'));
    openObject(withTypes(mapOfType('m', 1), [mapNamed('m')], [maps])).close();
  });

  it('that fills the slots of a map by keys which are no indexes is refused', () => {
    // The kernel reads a key of the map's size where libbpf put 4 bytes (init_map_in_map_slots).
    const types = (keyBytes: number) => [
      ...[INT, record('', 'array', 0, 0, 1, 1, 13), record('', 'ptr', 0, 2)],
      ...[record('', 'array', 0, 0, 1, 1, keyBytes), record('', 'ptr', 0, 4)],
      record('', 'struct', 2, 16, 'type', 3, 0, 'key_size', 5, 64),
      record('m', 'var', 0, 6, 1),
      record('.maps', 'datasec', 1, 16, 7, 0, 16),
    ];
    const two: Section = { name: '.maps', flags: 3, data: Buffer.alloc(16) };
    // Of symbol 2, the map: a map that holds itself will do, for it is refused before that is looked at.
    const filled = { name: '.rel.maps', type: REL, link: 6, info: 3, entryBytes: 16, data: Buffer.alloc(16) };
    filled.data.writeUInt32LE(8, 0);
    filled.data.writeUInt32LE(2, 12);
    const symbol = { name: 'm', section: '.maps', type: 1, bytes: 16n };
    const object = (keyBytes: number, more: Section[]) => withTypes(types(keyBytes), [symbol], [two, ...more]);
    const why = 'map m has filled slots, with keys of 8 and values of 4 bytes: libbpf fills them by 4 bytes each';
    expect(() => openObject(object(8, [filled]))).toThrow(refused(why));
    // Without slots any key will do, and with indexes for keys slots are libbpf's to look at.
    openObject(object(8, [])).close();
    expect(() => openObject(object(4, [filled]))).not.toThrow(refused('filled slots'));
  });

  it('with a function that returns a type which is not there is refused', () => {
    // skip_mods_and_typedefs() goes on from the null pointer, for a function of the kernel that the object calls.
    const types = [INT, record('', 'func_proto', 0, 0xffff_ffff)];
    expect(() => openObject(withTypes(types))).toThrow(refused('4294967295'));
    openObject(withTypes([INT, record('', 'func_proto', 0, 0)], [])).close();
  });

  it('with a member that lies outside of its struct is refused', () => {
    // bpf_map__init_kern_struct_ops() copies each member of a struct_ops, from where it is said to be.
    const types = (offsetBits: number) => [INT, record('s', 'struct', 1, 8, 'x', 1, offsetBits)];
    const why = refused('member x of type 2 reaches past the end of its 8 bytes');
    expect(() => openObject(withTypes(types(33)))).toThrow(why);
    openObject(withTypes(types(32), [])).close();
  });

  it('with a bitfield of something else than a number is refused', () => {
    // bpf_core_calc_field_relo() divides by the size of its storage unit.
    const bitfield = (...unit: Records) => [...unit, record('s', 'struct', KFLAG | 1, 4, 'x', 1, 3 << 24)];
    const why = refused('bitfield x of type 2 is no part of a number');
    expect(() => openObject(withTypes(bitfield(record('', 'ptr', 0, 0))))).toThrow(why);
    expect(() => openObject(withTypes(bitfield(record('none', 'int', 0, 0, 0))))).toThrow(why);
    openObject(withTypes(bitfield(INT), [])).close();
  });

  it('whose map is named like a path is refused', () => {
    const object = withTypes(mapOfType('../m', 1), [mapNamed('../m')], [maps]);
    expect(() => openObject(object)).toThrow(refused('map ../m has a path for its name'));
  });

  it.each(['-1', '0:-1', '0:4294967295', '', '0:x'])('that follows the access path "%s" is refused', (access) => {
    // sscanf("%d"): a negative index passes for one that is not too large (bpf_core_parse_spec).
    const btf = buildBtf([INT, record(access === '' ? 'none' : access, 'struct', 0, 4)]);
    const accessAt = access === '' ? 0 : 5;
    const words = [0x0001_eb9f, 32, 0, 0, 0, 0, 0, 28, /* records of */ 16, 1, 1, 0, 2, accessAt, 0];
    const ext = Buffer.alloc(words.length * 4);
    words.forEach((word, index) => ext.writeUInt32LE(word, index * 4));
    const object = buildObject([code, license, { name: '.BTF', data: btf }, { name: '.BTF.ext', data: ext }], [main]);
    expect(() => openObject(object)).toThrow(refused(`follows "${access}", which is no path of indexes`));
  });

  it('that says two things is refused', () => {
    const btf = { name: '.BTF', data: buildBtf([INT]) };
    expect(() => openObject(buildObject([code, license, btf, btf], [main]))).toThrow(
      refused('more than one section .BTF'),
    );
  });

  it('whose section headers libelf would read in another way is refused', () => {
    const without = withTypes([INT], []);
    without.writeUInt16LE(0, 60);
    expect(() => openObject(without)).toThrow(refused('the file has no sections'));
  });

  it('that is cut off anywhere is refused', () => {
    const whole = withTypes([INT], []);
    for (let bytes = 0; bytes < whole.length; bytes += 1) {
      expect(() => openObject(whole.subarray(0, bytes))).toThrow(expect.objectContaining({ code: 'BPF_OPEN' }));
    }
  });
});

describe('BTF in the place of the kernel’s', () => {
  it('is refused when its types go in a circle', () => {
    const folder = mkdtempSync(join(tmpdir(), 'node-libbpf-check-'));
    try {
      const btfCustomPath = join(folder, 'custom.btf');
      writeFileSync(btfCustomPath, buildBtf([record('a', 'typedef', 0, 1)]));
      expect(() => openObject(withTypes([INT], []), { btfCustomPath })).toThrow(refused('type 1 is a chain'));
      const spec = openObject(withTypes([INT], []));
      expect(() => (spec.btfCustomPath = btfCustomPath)).toThrow(refused('type 1 is a chain'));
      writeFileSync(btfCustomPath, buildBtf([INT]).subarray(0, 30));
      expect(() => (spec.btfCustomPath = btfCustomPath)).toThrow(refused(`btfCustomPath ${btfCustomPath}: the types`));
      writeFileSync(btfCustomPath, buildBtf([INT]));
      spec.btfCustomPath = btfCustomPath;
      spec.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
