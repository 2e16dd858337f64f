import { beforeAll, describe, expect, it } from '@jest/globals';
import { columnsOf } from '../layout/columns.js';
import { readObject } from '../object/object.js';
import { compileBpf } from '../../test/compile-bpf.js';
import type { Btf } from '../types/btf.js';
import { copyEncoder, pgTypeOf } from './copy-encoder.js';
import { CopyWriter } from './copy-writer.js';
import { objectDecoder } from './object-decoder.js';
import { columnReader, rowDecoder } from './row-decoder.js';

const SOURCE = `
enum state { IDLE, BUSY = 7, GONE = -2 };
struct point { __s16 x; __u16 y; };
struct event {
  __u64 ts; __s64 delta; __u32 pid; __s32 code; char comm[8]; __u8 addr[4]; enum state state;
  __u32 low : 3, signed_high : 0; __s32 odd : 5; __u64 wide : 40; _Bool flag; __u8 small; __s8 tiny;
  struct point at; struct point path[2]; __u16 ports[3]; __u64 counters[2]; double ratio;
  union { __u32 v4; __u8 v6[16]; } ip; __u8 _pad[7]; char tail[];
};
typedef struct event event_t; KEEP(event_t);`.replace(', signed_high : 0', '');

const FIELDS = [
  'ts',
  'delta',
  'pid',
  'code',
  'comm',
  'addr',
  'state',
  'small',
  'tiny',
  'ports',
  'counters',
  'ratio',
  'tail',
];

interface Sample {
  btf: Btf;
  id: number;
  bytes: number;
  view: DataView;
}

/** Fills a struct by BTF's own offsets, independently of the code under test. */
function sampleOf(target: 'bpfel' | 'bpfeb'): Sample {
  const btf = readObject(compileBpf(SOURCE, target)).btf;
  const type = btf.findByName('struct', 'event');
  if (type === undefined) throw new Error('no struct event');
  const le = btf.littleEndian;
  const bytes = type.bytes + 6;
  const view = new DataView(new ArrayBuffer(bytes + 16), 8);
  const at = (name: string) => (type.members.find((m) => m.name === name)?.offsetBits ?? NaN) / 8;
  const text = (offset: number, value: string) =>
    new TextEncoder().encode(value).forEach((byte, i) => view.setUint8(offset + i, byte));
  view.setBigUint64(at('ts'), 0xfedc_ba98_7654_3210n, le);
  view.setBigInt64(at('delta'), -5n, le);
  view.setUint32(at('pid'), 4_000_000_000, le);
  view.setInt32(at('code'), -13, le);
  text(at('comm'), 'node\0x');
  text(at('addr'), '\x7f\0\0\x01');
  view.setInt32(at('state'), 7, le);
  view.setUint8(at('flag'), 1);
  view.setUint8(at('small'), 200);
  view.setInt8(at('tiny'), -100);
  view.setInt16(at('at'), -2, le);
  view.setUint16(at('at') + 2, 65535, le);
  view.setInt16(at('path') + 4, 3, le);
  [80, 443, 65535].forEach((port, i) => view.setUint16(at('ports') + i * 2, port, le));
  view.setBigUint64(at('counters') + 8, 1n << 60n, le);
  view.setFloat64(at('ratio'), 0.25, le);
  view.setUint32(at('ip'), 7, le);
  text(at('tail'), 'end\0yz');
  return { btf, id: type.id, bytes, view };
}

describe.each(['bpfel', 'bpfeb'] as const)('decoders of %s objects', (target) => {
  let sample: Sample;
  beforeAll(() => {
    sample = sampleOf(target);
  });

  it('make objects', () => {
    const object = objectDecoder(sample.btf, sample.id)(sample.view, 0, sample.bytes);
    expect(object).toMatchObject({
      ts: 0xfedc_ba98_7654_3210n,
      delta: -5n,
      pid: 4_000_000_000,
      code: -13,
      comm: 'node',
      state: 'BUSY',
      flag: true,
      small: 200,
      tiny: -100,
      at: { x: -2, y: 65535 },
      path: [
        { x: 0, y: 0 },
        { x: 3, y: 0 },
      ],
      ports: [80, 443, 65535],
      counters: [0n, 1n << 60n],
      ratio: 0.25,
      ip: { v4: 7 },
      tail: 'end',
    });
    expect(object['addr']).toEqual(new Uint8Array([127, 0, 0, 1]));
  });

  it('read bitfields where the compiler put them', () => {
    const columns = columnsOf(sample.btf, sample.id);
    const layout = { littleEndian: sample.btf.littleEndian, bytesMin: sample.bytes - 6 };
    for (const [path, value] of [
      ['low', 5],
      ['odd', -11],
      ['wide', 0xab_cdef_0123n],
    ] as const) {
      const column = columns.find((c) => c.path === path);
      if (column === undefined) throw new Error(path);
      const copy = new DataView(sample.view.buffer.slice(0), 8);
      writeBits(copy, column.offsetBits, column.bits, BigInt(value), layout.littleEndian);
      expect([path, columnReader(layout, column)(copy, 0, sample.bytes)]).toEqual([path, value]);
    }
  });

  it('make flat columns, without padding, a union only by its chosen arm', () => {
    const columns = columnsOf(sample.btf, sample.id, { arms: ['ip.v4'] });
    expect(columns.map((c) => c.name)).toEqual(expect.arrayContaining(['at_x', 'at_y', 'ip_v4', 'tail']));
    expect(columns.map((c) => c.name)).not.toContain('_pad');
    expect(columns.find((c) => c.name === 'path')).toMatchObject({
      kind: 'opaque',
      reason: 'is an array of struct point',
    });
    const opaque = columnsOf(sample.btf, sample.id).find((c) => c.name === 'ip');
    expect(opaque).toMatchObject({ kind: 'opaque', reason: 'is a union of v4, v6' });
    expect(columns.find((c) => c.name === 'state')?.enumNames).toMatchObject({ '0': 'IDLE', '7': 'BUSY' });
  });

  it('make COPY BINARY fields', () => {
    const all = columnsOf(sample.btf, sample.id);
    const columns = FIELDS.map((name) => {
      const column = all.find((c) => c.name === name);
      const pgType = name === 'addr' ? ('inet' as const) : column && pgTypeOf(column);
      if (column === undefined || pgType === undefined) throw new Error(name);
      return { column, pgType };
    });
    expect(columns.map((c) => c.pgType)).toEqual([
      'numeric',
      'int8',
      'int8',
      'int4',
      'text',
      'inet',
      'text',
      'int2',
      'int2',
      'int4[]',
      'numeric[]',
      'float8',
      'text',
    ]);
    const layout = { littleEndian: sample.btf.littleEndian, bytesMin: sample.bytes - 6 };
    const out = new CopyWriter(1);
    copyEncoder(layout, columns)(sample.view, 0, sample.bytes, out);
    const expected = new CopyWriter();
    expected.numeric(0xfedc_ba98_7654_3210n);
    expected.int64(-5n);
    expected.int64(4_000_000_000n);
    expected.int32(-13);
    expected.text('node');
    expected.inet(new Uint8Array([127, 0, 0, 1]));
    expected.text('BUSY');
    expected.int16(200);
    expected.int16(-100);
    expected.array(23, 3, (i) => expected.int32([80, 443, 65535][i] as number));
    expected.array(1700, 2, (i) => expected.numeric([0n, 1n << 60n][i] as bigint));
    expected.float8(0.25);
    expected.text('end');
    expect(Buffer.from(out.take()).toString('hex')).toBe(Buffer.from(expected.take()).toString('hex'));
  });

  it('refuse short records before anything is written', () => {
    const column = columnsOf(sample.btf, sample.id)[0];
    if (column === undefined) throw new Error('no columns');
    const layout = { littleEndian: sample.btf.littleEndian, bytesMin: sample.bytes - 6 };
    const out = new CopyWriter();
    const encode = copyEncoder(layout, [{ column, pgType: 'numeric' }]);
    const short = expect.objectContaining({ code: 'RECORD_SHORT' });
    expect(() => encode(sample.view, 0, 20, out)).toThrow(short);
    expect(() => encode(sample.view, 100, sample.bytes, out)).toThrow(short);
    expect(() => encode(sample.view, -1, sample.bytes, out)).toThrow(short);
    expect(() => encode(sample.view, 0, NaN, out)).toThrow(short);
    expect(out.position).toBe(0);
    expect(() => objectDecoder(sample.btf, sample.id)(sample.view, 0, 4)).toThrow(short);
  });
});

describe('rowDecoder', () => {
  it('refuses names that could become code or a prototype', () => {
    const sample = sampleOf('bpfel');
    const column = columnsOf(sample.btf, sample.id)[0];
    if (column === undefined) throw new Error('no columns');
    for (const name of ['a b', 'x}; process.exit(1); ({', '__proto__', '', '1a', 'ü']) {
      expect(() => rowDecoder({ littleEndian: true, bytesMin: 8 }, [{ name, column }])).toThrow(
        expect.objectContaining({ code: 'BTF_IDENTIFIER' }),
      );
    }
  });
});

describe('enums', () => {
  it('show a value without a name as its number', () => {
    const sample = sampleOf('bpfel');
    const column = columnsOf(sample.btf, sample.id).find((c) => c.name === 'state');
    if (column === undefined) throw new Error('no state');
    sample.view.setInt32(column.offsetBits / 8, 99, true);
    const out = new CopyWriter();
    const layout = { littleEndian: true, bytesMin: sample.bytes - 6 };
    copyEncoder(layout, [{ column, pgType: 'text' }])(sample.view, 0, sample.bytes, out);
    expect(Buffer.from(out.take()).toString('latin1')).toBe('\0\0\0\x0299');
    sample.view.setInt32(column.offsetBits / 8, -2, true);
    expect(columnReader(layout, column)(sample.view, 0, sample.bytes)).toBe('GONE');
  });
});

/** Writes bit by bit: bit 0 is the lowest of the first byte on little-endian machines, the highest on others. */
function writeBits(view: DataView, offsetBits: number, bits: number, value: bigint, littleEndian: boolean): void {
  for (let bit = 0; bit < bits; bit += 1) {
    const on = (value >> BigInt(littleEndian ? bit : bits - 1 - bit)) & 1n;
    const position = offsetBits + bit;
    const mask = littleEndian ? 1 << (position & 7) : 0x80 >> (position & 7);
    const byte = view.getUint8(position >> 3);
    view.setUint8(position >> 3, on === 1n ? byte | mask : byte & ~mask);
  }
}
