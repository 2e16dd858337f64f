import { describe, expect, it } from '@jest/globals';
import { copyEncoder, pgTypeOf } from './decode/copy-encoder.js';
import { objectDecoder } from './decode/object-decoder.js';
import { parseElf } from './elf/elf.js';
import { codecOf } from './encode/codec.js';
import { BtfError } from './error.js';
import { columnsOf } from './layout/columns.js';
import { readObject } from './object/object.js';
import { compileBpf, randomFrom } from '../test/compile-bpf.js';
import { parseBtf } from './types/parse.js';

const KIND = { int: 1, ptr: 2, array: 3, struct: 4, union: 5, typedef: 8, const: 10, func_proto: 13 } as const;

/** Assembles BTF by hand, so that it can say what no compiler would. */
function btfOf(words: readonly number[], strings = '\0int\0a\0b\0'): Uint8Array {
  const text = new TextEncoder().encode(strings);
  const bytes = new Uint8Array(24 + words.length * 4 + text.length);
  const view = new DataView(bytes.buffer);
  const header = [0xeb9f | (1 << 16), 24, 0, words.length * 4, words.length * 4, text.length];
  [...header, ...words].forEach((word, index) => view.setUint32(index * 4, word, true));
  bytes.set(text, 24 + words.length * 4);
  return bytes;
}

const record = (name: number, kind: number, vlen: number, sizeOrType: number, ...rest: number[]) => [
  name,
  (kind << 24) | vlen,
  sizeOrType,
  ...rest,
];
const INT = record(1, KIND.int, 0, 4, 32);

const refused = (code: string) => expect.objectContaining({ name: 'BtfError', code });

describe('hostile BTF', () => {
  it('ends chains of names that end in themselves', () => {
    const btf = parseBtf(btfOf([...record(5, KIND.typedef, 0, 2), ...record(0, KIND.const, 0, 1)]));
    expect(() => btf.resolve(1)).toThrow(refused('BTF_LAYOUT'));
    expect(() => btf.sizeOf(1)).toThrow(refused('BTF_LAYOUT'));
  });

  it('ends arrays of themselves', () => {
    const btf = parseBtf(btfOf([...record(0, KIND.array, 0, 0, 1, 1, 2)]));
    expect(() => btf.sizeOf(1)).toThrow(BtfError);
  });

  it('refuses structs that contain themselves', () => {
    const btf = parseBtf(btfOf([...record(5, KIND.struct, 1, 8, 7, 1, 0)]));
    expect(() => columnsOf(btf, 1)).toThrow(refused('BTF_LAYOUT'));
    expect(() => objectDecoder(btf, 1)).toThrow(refused('BTF_LAYOUT'));
    const anonymous = parseBtf(btfOf([...record(0, KIND.struct, 1, 8, 7, 1, 0)]));
    expect(() => anonymous.printC(1)).toThrow(refused('BTF_LAYOUT'));
  });

  it('refuses structs that double at every level', () => {
    const levels = Array.from({ length: 14 }, (_, i) => record(0, KIND.struct, 2, 0, 5, i + 2, 0, 7, i + 2, 0));
    const btf = parseBtf(btfOf([...levels.flat(), ...record(0, KIND.struct, 0, 0)]));
    expect(() => columnsOf(btf, 1)).toThrow(refused('BTF_LIMIT'));
    expect(() => objectDecoder(btf, 1)).toThrow(refused('BTF_LIMIT'));
  });

  it('bounds functions that take functions', () => {
    const takesItself = [...record(0, KIND.func_proto, 2, 0, 5, 2, 7, 2), ...record(0, KIND.ptr, 0, 1)];
    expect(() => parseBtf(btfOf(takesItself)).printC(1)).toThrow(BtfError);
  });

  it('refuses members outside of their struct, in decoders too', () => {
    const btf = parseBtf(btfOf([...INT, ...record(5, KIND.struct, 1, 4, 7, 1, 32)]));
    expect(() => columnsOf(btf, 2)).toThrow(refused('BTF_LAYOUT'));
    expect(() => objectDecoder(btf, 2)).toThrow(refused('BTF_LAYOUT'));
  });

  it('does not loop over arrays of four billion nothings', () => {
    const empty = record(0, KIND.struct, 0, 0);
    const array = record(0, KIND.array, 0, 0, 1, 1, 0xffff_ffff);
    const btf = parseBtf(btfOf([...empty, ...array, ...record(5, KIND.struct, 1, 0, 7, 2, 0)]));
    expect(objectDecoder(btf, 3)(new DataView(new ArrayBuffer(0)), 0, 0)).toEqual({ b: [] });
    const chars = parseBtf(
      btfOf([
        ...INT,
        ...record(0, KIND.array, 0, 0, 1, 1, 0xffff_ffff),
        ...record(0, KIND.array, 0, 0, 2, 1, 0xffff_ffff),
      ]),
    );
    expect(chars.sizeOf(2)).toBe(0xffff_ffff * 4);
    expect(() => chars.sizeOf(3)).toThrow(refused('BTF_LIMIT'));
  });

  it('refuses names that are not names', () => {
    const btf = parseBtf(btfOf([...INT, ...record(0, KIND.struct, 1, 4, 1, 1, 0)], '\0a b\0'));
    expect(() => objectDecoder(btf, 2)).toThrow(refused('BTF_IDENTIFIER'));
    const proto = parseBtf(btfOf([...INT, ...record(0, KIND.struct, 1, 4, 1, 1, 0)], '\0__proto__\0'));
    expect(() => objectDecoder(proto, 2)).toThrow(refused('BTF_IDENTIFIER'));
  });

  it('refuses headers and records that reach past the end', () => {
    const good = btfOf(INT);
    for (let length = 0; length < good.length; length += 1) {
      expect(() => parseBtf(good.subarray(0, length))).toThrow(refused('BTF_INVALID'));
    }
    expect(() => parseBtf(btfOf(record(1, KIND.struct, 0xffff, 4)))).toThrow(refused('BTF_INVALID'));
    expect(() => parseBtf(btfOf(record(1, 31, 0, 4)))).toThrow(refused('BTF_INVALID'));
    expect(() => parseBtf(btfOf(record(999, KIND.ptr, 0, 0)))).toThrow(refused('BTF_INVALID'));
    expect(() => parseBtf(btfOf(INT)).typeById(7)).toThrow(refused('BTF_NOT_FOUND'));
  });
});

const SOURCE = `
enum state { IDLE, BUSY };
struct in { __u32 a; __u64 b; };
struct event { __u64 ts; __u32 pid : 5, more : 9; char comm[16]; struct in in[2]; enum state s; union { __u32 x; __u64 y; } u; __u16 ports[3]; char tail[]; };
typedef struct event event_t; KEEP(event_t);
struct { __uint(type, 1); __uint(max_entries, 10); __type(key, __u32); __type(value, struct event); } map SEC(".maps");
const volatile __u32 knob = 3;
__attribute__((noinline)) static int sub(int a) { volatile int x = a; return x; }
SEC("xdp") int prog(void *ctx) { return sub(knob); }
char LICENSE[] SEC("license") = "GPL";`;

/** Everything that can be done with an object; whatever comes must be a BtfError. */
function exercise(bytes: Uint8Array): 'read' | 'refused' {
  const attempt = (act: () => void): boolean => {
    try {
      act();
      return true;
    } catch (error) {
      if (error instanceof BtfError) return false;
      throw error;
    }
  };
  const record = new DataView(new ArrayBuffer(4096));
  const whole = attempt(() => {
    const object = readObject(bytes);
    for (const { name } of object.programs) for (let i = 0; i < 20; i += 1) object.lines.lineAt(name, i);
    for (let id = 1; id < object.btf.typeCount; id += 1) {
      attempt(() => object.btf.sizeOf(id));
      attempt(() => object.btf.printC(id));
      attempt(() => objectDecoder(object.btf, id)(record, 0, 4096));
      attempt(() => {
        const codec = codecOf(object.btf, id);
        const source = new Uint8Array(record.buffer);
        codec.encode(codec.decode(source, 0), source, 0);
        codec.describe();
      });
      attempt(() => {
        const columns = columnsOf(object.btf, id).flatMap((column) => {
          const pgType = pgTypeOf(column);
          return pgType === undefined ? [] : [{ column, pgType }];
        });
        copyEncoder({ littleEndian: object.littleEndian, bytesMin: object.btf.sizeOf(id) }, columns);
      });
    }
  });
  return whole ? 'read' : 'refused';
}

describe('a damaged object', () => {
  const pristine = compileBpf(SOURCE);

  it('is refused or read, but never anything else, wherever it is cut off', () => {
    const step = Math.max(1, Math.floor(pristine.length / 150));
    for (let length = 0; length < pristine.length; length += step) exercise(pristine.subarray(0, length));
    expect(exercise(pristine)).toBe('read');
  });

  it.each([1, 2, 3])('is refused or read, but never anything else, with random bytes (seed %d)', (seed) => {
    const random = randomFrom(seed);
    const elf = parseElf(pristine);
    const targets = ['.BTF', '.BTF.ext', '.symtab', ''].map((name) => elf.section(name)?.data ?? new Uint8Array());
    let refusals = 0;
    for (let round = 0; round < 150; round += 1) {
      const damaged = pristine.slice();
      const target = targets[round % targets.length] ?? new Uint8Array();
      const start = target.length > 0 ? target.byteOffset - pristine.byteOffset : 0;
      const length = target.length > 0 ? target.length : damaged.length;
      for (let flips = 1 + Math.floor(random() * 4); flips > 0; flips -= 1) {
        damaged[start + Math.floor(random() * length)] = Math.floor(random() * 256);
      }
      if (exercise(damaged) === 'refused') refusals += 1;
    }
    expect(refusals).toBeGreaterThan(0);
  });
});
