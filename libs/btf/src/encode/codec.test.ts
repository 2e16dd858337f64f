import { describe, expect, it } from '@jest/globals';
import { compileBpf, randomFrom } from '../../test/compile-bpf.js';
import { RandomTypes } from '../../test/random-types.js';
import { BtfError, BtfValueError } from '../error.js';
import { readObject } from '../object/object.js';
import type { BpfObjectFile } from '../object/types.js';
import type { BtfType } from '../types/types.js';
import { parseBtf } from '../types/parse.js';
import { writeBtf } from '../types/write.js';
import type { BtfCodec } from './codec.js';
import { codecOf } from './codec.js';

function globalOf(object: BpfObjectFile, name: string): { bytes: Uint8Array; typeId: number } {
  const found = object.globals.find((global) => global.name === name);
  const section = object.dataSections.find((each) => each.name === found?.section);
  if (found === undefined || section === undefined) throw new Error(`no global ${name}`);
  return { bytes: section.image.slice(found.offset, found.offset + found.bytes), typeId: found.typeId };
}

function encoded(codec: BtfCodec<never>, value: unknown): Uint8Array {
  const target = new Uint8Array(codec.bytes + 16).fill(0xaa);
  codec.encode(value as never, target, 8);
  expect([...target.subarray(0, 8), ...target.subarray(codec.bytes + 8)]).toEqual(Array(16).fill(0xaa));
  return target.slice(8, codec.bytes + 8);
}

/** What was given is there again; a union that was given by one arm has the others too. */
function expectGiven(read: unknown, given: unknown, path: string): void {
  if (typeof given !== 'object' || given === null || given instanceof Uint8Array) {
    expect([path, read]).toEqual([path, given]);
    return;
  }
  // One-byte integers are read as bytes, whatever their sign.
  if (read instanceof Uint8Array) expect([path, read]).toEqual([path, Uint8Array.from(given as number[])]);
  else if (Array.isArray(given)) expect([path, (read as unknown[]).length]).toEqual([path, given.length]);
  for (const [name, value] of read instanceof Uint8Array ? [] : Object.entries(given)) {
    expectGiven((read as Record<string, unknown>)[name], value, `${path}.${name}`);
  }
}

function codecFor(source: string, kind: 'struct' | 'union' | 'typedef', name: string): BtfCodec<never> {
  const { btf } = readObject(compileBpf(`${source}\nKEEP(event_t);`));
  return codecOf(btf, btf.findByName(kind, name)?.id as number, { name: 'key' });
}

describe.each(['bpfel', 'bpfeb'] as const)('codecs against the compiler (%s)', (target) => {
  it.each([1, 2, 3, 4])('write and read the bytes that clang makes of random types (seed %i)', (seed) => {
    const types = new RandomTypes(randomFrom(seed));
    const samples = Array.from({ length: 60 }, (_, index) => ({ name: `g${index}`, ...types.struct() }));
    const source = samples
      .map((s) => `${s.declarations}const volatile ${s.declare(s.name)} = ${s.initializer};`)
      .join('\n');
    const object = readObject(compileBpf(source, target));
    for (const sample of samples) {
      const { bytes, typeId } = globalOf(object, sample.name);
      const codec = codecOf<never>(object.btf, typeId);
      const hex = (list: Uint8Array) => Buffer.from(list).toString('hex');
      expect([sample.name, hex(encoded(codec, sample.value))]).toEqual([sample.name, hex(bytes)]);
      const read = codec.decode(bytes, 0);
      expectGiven(read, sample.value, sample.name);
      // What was read can be written back, unions with all their arms.
      expect([sample.name, hex(encoded(codec, read))]).toEqual([sample.name, hex(bytes)]);
    }
  });

  it('take scalars, typedefs and arrays by themselves', () => {
    const source = `
typedef __u16 port_t; enum mode { OFF, ON = 9 };
const volatile port_t port = 443; const volatile enum mode mode = ON; const volatile double ratio = 0.25;
const volatile _Bool flag = 1; const volatile __s64 delta = -3; const volatile char comm[8] = "node";
const volatile __u32 grid[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } }; void *const volatile where = (void *)0xffff888000000000;
const volatile char names[2][4] = { "ab", "cdef" }; const volatile enum mode modes[2] = { ON, OFF };`;
    const object = readObject(compileBpf(source, target));
    for (const [name, value] of [
      ['port', 443],
      ['mode', 'ON'],
      ['ratio', 0.25],
      ['flag', true],
      ['delta', -3n],
      ['comm', 'node'],
      ['grid', [[1, 2, 3], [4, 5, 6]]], // prettier-ignore
      ['where', 0xffff_8880_0000_0000n],
      ['names', ['ab', 'cdef']],
      ['modes', ['ON', 'OFF']],
    ] as const) {
      const { bytes, typeId } = globalOf(object, name);
      const codec = codecOf<never>(object.btf, typeId);
      expect([name, codec.decode(bytes, 0)]).toEqual([name, value]);
      expect([name, encoded(codec, value)]).toEqual([name, bytes]);
    }
    expect(codecOf(object.btf, globalOf(object, 'port').typeId).describe()).toBe('const volatile port_t');
    expect(codecOf(object.btf, globalOf(object, 'names').typeId).describe()).toBe('const volatile char [2][4]');
  });
});

const EVENT = `
enum state { IDLE, BUSY = 7 };
struct at { __s16 x; __u16 y; };
struct event { __u64 id; __s8 code; _Bool flag; char comm[8]; __u8 addr[4]; enum state state; struct at path[2];
  __u32 low : 3; __s32 odd : 5; float ratio; void *where; union { __u32 v4; __u8 v6[16]; struct { __u16 a, b; }; } ip;
  union { __u64 all; struct { __u32 first, second; }; }; __u16 _pad; };
typedef struct event event_t;`;

const VALUE = {
  id: 1n,
  code: -1,
  flag: true,
  comm: 'node',
  addr: [1, 2, 3, 4],
  state: 'BUSY',
  path: [
    { x: 1, y: 2 },
    { x: 3, y: 4 },
  ],
  low: 7,
  odd: -16,
  ratio: 0.5,
  where: 0n,
  ip: { v4: 5 },
  all: 1n,
};

describe('a codec refuses with the place and what would be right', () => {
  const codec = codecFor(EVENT, 'typedef', 'event_t');
  const at = (x: unknown) => ({ path: [{ x, y: 0 }, VALUE.path[0]] });

  it.each<[object, string]>([
    [{ id: 2 ** 60 }, 'key.id is 1152921504606847000, which a number cannot hold exactly: give a bigint'],
    [{ id: -1n }, 'key.id is -1, expected an integer from 0 to 18446744073709551615'],
    [{ id: 1n << 5000n }, 'key.id is an integer of more than 256 bits, expected'],
    [{ code: 128 }, 'key.code is 128, expected an integer from -128 to 127'],
    [{ code: 1.5 }, 'key.code is 1.5, expected'],
    [{ code: NaN }, 'key.code is NaN, expected'],
    [{ code: '1' }, 'key.code is "1", expected'],
    [{ code: undefined }, 'key.code is missing, expected'],
    [{ flag: 1 }, 'key.flag is 1, expected true or false'],
    [{ comm: 'ninechars' }, 'key.comm has 9 bytes of UTF-8, and there is room for 8'],
    [{ comm: '漢漢漢' }, 'key.comm has 9 bytes of UTF-8, and there is room for 8'],
    [{ comm: 'a\0b' }, 'key.comm has a NUL inside'],
    [{ comm: 'é\0' }, 'key.comm has a NUL inside'],
    [{ comm: '\ud800' }, 'key.comm has half a surrogate pair'],
    [{ comm: new Uint8Array(7) }, 'key.comm is 7 bytes, expected text of at most 8 bytes, or exactly 8 bytes'],
    [{ addr: [1, 2, 3, 300] }, 'key.addr[3] is 300, expected an integer from 0 to 255'],
    [{ addr: [1, 2, 3] }, 'key.addr is an array of 3, expected 4 bytes'],
    [{ addr: [1, 2, 3, -1] }, 'key.addr[3] is -1, expected an integer from 0 to 255'],
    [{ addr: 7 }, 'key.addr is 7, expected 4 bytes'],
    [{ state: 'GONE' }, 'key.state is "GONE", expected IDLE, BUSY, or an integer from 0 to 4294967295'],
    [{ state: -1 }, 'key.state is -1, expected IDLE, BUSY, or an integer from 0 to 4294967295'],
    [{ path: [] }, 'key.path is an array of 0, expected an array of 2'],
    [{ path: null }, 'key.path is null, expected an array of 2'],
    [at(40_000), 'key.path[0].x is 40000, expected an integer from -32768 to 32767'],
    [{ path: [{ x: 1, y: 2 }, { x: 1 }] }, 'key.path[1].y is missing'],
    [{ path: [{ x: 1, y: 2 }, 5] }, 'key.path[1] is 5, expected struct at as an object'],
    [{ low: 8 }, 'key.low is 8, expected an integer from 0 to 7'],
    [{ odd: 16 }, 'key.odd is 16, expected an integer from -16 to 15'],
    [{ ratio: 1e300 }, 'key.ratio is 1e+300, expected a number that a float can hold'],
    [{ where: -1 }, 'key.where is -1, expected an address from 0 to 18446744073709551615'],
    [{ nothing: 1 }, 'key has a member "nothing": its type has id, code, flag,'],
    [{ ip: {} }, 'key.ip gives no member of a union: give one of v4, v6, a, b'],
    [{ ip: { v4: 5, a: 6, b: 0 } }, 'key.ip has v4, a, b in the same bytes, and they disagree: give one of them'],
    [{ ip: { a: 6 } }, 'key.ip.b is missing'],
    [{ all: undefined }, 'key gives no member of a union: give one of all, first, second'],
    [{ first: 3 }, 'key.second is missing'],
    [{ code: Symbol('x') }, 'key.code is a symbol'],
    [{ code: () => 1 }, 'key.code is a function'],
  ])('%#: %p', (change, message) => {
    const act = () => encoded(codec, { ...VALUE, ...change });
    expect(act).toThrow(BtfValueError);
    expect(act).toThrow(message);
  });

  it('takes what means the same, and padding as zeros', () => {
    const bytes = encoded(codec, VALUE);
    const same = {
      ...VALUE,
      id: 1,
      code: -1n,
      comm: new TextEncoder().encode('node\0\0\0\0'),
      addr: new Uint8Array([1, 2, 3, 4]),
      state: 7,
      ip: { v4: 5, a: 5, b: 0 },
      all: 1,
      first: 1,
      second: 0,
      _pad: 0,
    };
    expect(encoded(codec, same)).toEqual(bytes);
    expect(encoded(codec, codec.decode(bytes, 0))).toEqual(bytes);
    expect(encoded(codec, { ...VALUE, _pad: 258 })).not.toEqual(bytes);
  });

  it('refuses targets and sources that are too short, before anything is written', () => {
    const small = new Uint8Array(codec.bytes - 1);
    expect(() => codec.encode(VALUE as never, small, 0)).toThrow(expect.objectContaining({ code: 'RECORD_SHORT' }));
    expect(() => codec.encode(VALUE as never, new Uint8Array(codec.bytes), -1)).toThrow(BtfError);
    expect(small.every((byte) => byte === 0)).toBe(true);
    expect(() => codec.decode(small, 0)).toThrow(expect.objectContaining({ code: 'RECORD_SHORT' }));
  });

  it('reads and writes inside of a larger array, and says its type', () => {
    const pool = Buffer.from(new ArrayBuffer(codec.bytes + 11), 3, codec.bytes + 5);
    codec.encode(VALUE as never, pool, 5);
    expect(codec.decode(pool, 5)).toMatchObject({ id: 1n, comm: 'node', state: 'BUSY', path: VALUE.path });
    expect(codec.describe()).toMatch(/^struct event \{\n\t__u64 id;/);
  });
});

describe('codecs of what compilers here do not make', () => {
  const int = (name: string, bytes: number, signed = false) =>
    ({
      kind: 'int',
      id: 0,
      name,
      bytes,
      bits: bytes * 8,
      offsetBits: 0,
      signed,
      isBool: false,
      isChar: false,
    }) as const;
  const member = (name: string, typeId: number, offsetBits: number) => ({ name, typeId, offsetBits, bitfieldBits: 0 });
  const make = (types: readonly BtfType[], id = types.length) =>
    codecOf<never>(parseBtf(writeBtf(types)), id, { name: 'value' });

  it('enum64, exactly and by name', () => {
    const values = [
      { name: 'LOW', value: -(1n << 63n) },
      { name: 'HIGH', value: (1n << 63n) - 1n },
    ];
    const codec = make([{ kind: 'enum64', id: 0, name: 'wide', bytes: 8, signed: true, values }]);
    for (const value of ['LOW', 'HIGH', 5n, -1n]) expect(codec.decode(encoded(codec, value), 0)).toBe(value);
    expect(() => encoded(codec, 1n << 63n)).toThrow('value is 9223372036854775808, expected LOW, HIGH, or an integer');
  });

  it('32-bit pointers as bigint', () => {
    const ptr = { kind: 'ptr', id: 0, name: '', typeId: 0 } as const;
    const list = { kind: 'array', id: 0, name: '', typeId: 2, indexTypeId: 1, count: 2 } as const;
    const codec = make([int('long unsigned int', 4), ptr, list]);
    expect(codec.decode(encoded(codec, [0xffff_fff0n, 1]), 0)).toEqual([0xffff_fff0n, 1n]);
    expect(() => encoded(codec, [0, 1n << 32n])).toThrow('value[1] is 4294967296, expected an address from 0');
  });

  it('members that are named like what every object has', () => {
    const names = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'then'];
    const members = names.map((name, index) => member(name, 1, index * 8));
    const codec = make([int('u8', 1), { kind: 'struct', id: 0, name: 's', bytes: 5, members }]);
    const value = Object.fromEntries(names.map((name, index) => [name, index]));
    expect(codec.decode(encoded(codec, value), 0)).toEqual(value);
    expect(() => encoded(codec, {})).toThrow('value.constructor is a function');
  });

  it('nothing that a name says becomes code', () => {
    for (const name of ['a; process.exit(1)', '"+x+"', '__proto__', 'a.b', '`${x}`']) {
      const struct = { kind: 'struct', id: 0, name: 's', bytes: 1, members: [member(name, 1, 0)] } as const;
      expect(() => make([int('u8', 1), struct])).toThrow(expect.objectContaining({ code: 'BTF_IDENTIFIER' }));
      // Names of types and enumerators are only shown.
      const values = [{ name, value: 1n }];
      const shown = make([{ kind: 'enum', id: 0, name, bytes: 4, signed: false, values }]);
      expect(encoded(shown, name)).toEqual(new Uint8Array([1, 0, 0, 0]));
      const quoted = codecOf<never>(parseBtf(writeBtf([int(name, 1)])), 1, { name });
      expect(() => encoded(quoted, 256)).toThrow(`${name} is 256`);
    }
  });

  it('refuses types that have no values, and types that are too much', () => {
    const layout = expect.objectContaining({ code: 'BTF_LAYOUT' });
    expect(() => make([{ kind: 'fwd', id: 0, name: 'gone', of: 'struct' }])).toThrow(layout);
    expect(() => make([int('u8', 1)], 0)).toThrow(layout);
    const outside = { kind: 'struct', id: 0, name: 's', bytes: 1, members: [member('a', 1, 8)] } as const;
    expect(() => make([int('u8', 1), outside])).toThrow(layout);
    const itself = { kind: 'struct', id: 0, name: 's', bytes: 8, members: [member('', 1, 0)] } as const;
    expect(() => make([itself])).toThrow(layout);
    const fan = (id: number) => Array.from({ length: 100 }, () => member('', id, 0));
    const levels = [1, 2, 3].map(
      (id) => ({ kind: id === 1 ? 'union' : 'struct', id: 0, name: '', bytes: 0, members: fan(id + 1) }) as const,
    );
    const empty = { kind: 'struct', id: 0, name: '', bytes: 0, members: [] } as const;
    expect(() => make([...levels, empty], 1)).toThrow(expect.objectContaining({ code: 'BTF_LIMIT' }));
  });
});
