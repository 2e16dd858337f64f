import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { compileBpf, randomFrom } from '../../test/compile-bpf.js';
import type { Leaf, RandomStruct } from '../../test/random-structs.js';
import { COracle, ENUM_NAMES, ENUM_SOURCE, StructMaker } from '../../test/random-structs.js';
import type { Column } from '../layout/column.js';
import { columnsOf } from '../layout/columns.js';
import { readObject } from '../object/object.js';
import type { Btf } from '../types/btf.js';
import { copyEncoder, pgTypeOf } from './copy-encoder.js';
import { CopyWriter } from './copy-writer.js';
import { objectDecoder } from './object-decoder.js';
import { columnReader } from './row-decoder.js';

const SEED = 20_240_607;
const STRUCTS = 60;
const RECORDS = 4;

/** What our objects, rows and tables should show for what C printed. */
function expected(leaf: Leaf, printed: string, signedEnums: boolean): unknown {
  switch (leaf.kind) {
    case 'integer':
      return leaf.bits > 32 ? BigInt(printed) : Number(printed);
    case 'enum':
      // clang before 16 does not say that an enum is signed, so its values without a name are read as unsigned.
      return ENUM_NAMES[printed] ?? Number(signedEnums ? printed : BigInt.asUintN(32, BigInt(printed)));
    case 'boolean':
      return printed === '1';
    case 'float':
      return new Float64Array(new BigUint64Array([BigInt(printed)]).buffer)[0];
    case 'bytes':
      return new Uint8Array(Buffer.from(printed, 'hex'));
    case 'text': {
      const bytes = Buffer.from(printed, 'hex');
      const nul = bytes.indexOf(0);
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(nul < 0 ? bytes : bytes.subarray(0, nul));
    }
  }
}

function valueAt(object: unknown, path: string): unknown {
  return path
    .split(/[.[\]]+/)
    .filter((step) => step !== '')
    .reduce<unknown>((value, step) => (value as Record<string, unknown>)[step], object);
}

/** One field of a COPY BINARY tuple, by the rules of PostgreSQL's documentation and not by ours. */
function readField(view: DataView, pgType: string): unknown {
  const bytes = view.getInt32(0);
  const raw = new Uint8Array(view.buffer, view.byteOffset + 4, bytes);
  switch (pgType) {
    case 'bool':
      return view.getUint8(4) === 1;
    case 'int2':
      return view.getInt16(4);
    case 'int4':
      return view.getInt32(4);
    case 'int8':
      return view.getBigInt64(4);
    case 'float8':
      return view.getFloat64(4);
    case 'text':
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(raw);
    case 'bytea':
      return raw.slice();
    case 'numeric': {
      const [digits, weight, sign] = [view.getInt16(4), view.getInt16(6), view.getUint16(8)];
      let value = 0n;
      for (let digit = 0; digit <= weight; digit += 1) {
        value = value * 10_000n + (digit < digits ? BigInt(view.getUint16(12 + digit * 2)) : 0n);
      }
      return sign === 0x4000 ? -value : value;
    }
    default:
      throw new Error(`no field of type ${pgType} was expected`);
  }
}

const plain = (value: unknown): unknown =>
  typeof value === 'number' || typeof value === 'bigint' ? String(value) : value;

describeWithKernel(`decoders and C read the same (seed ${SEED})`, ['clang'], () => {
  const random = randomFrom(SEED);
  const maker = new StructMaker(random);
  const structs: RandomStruct[] = Array.from({ length: STRUCTS }, (_, index) => maker.make(`s${index}`));
  let btf: Btf;
  let oracle: COracle;
  beforeAll(() => {
    oracle = new COracle(structs);
    const uses = structs.map(({ name }) => `struct ${name} use_${name};`).join('\n');
    btf = readObject(compileBpf(ENUM_SOURCE + structs.map(({ source }) => source).join('') + uses)).btf;
  });
  afterAll(() => oracle?.close());

  const records = structs.flatMap((_, index) =>
    Array.from({ length: RECORDS }, (__, round) => [index, round] as const),
  );

  it('as objects, as columns and as fields of a table', () => {
    let compared = 0;
    const signedEnums = btf.findByName('enum', 'choice')?.signed === true;
    for (const [index, round] of records) {
      const struct = structs[index] as RandomStruct;
      const type = btf.findByName('struct', struct.name);
      if (type === undefined) throw new Error(`no struct ${struct.name}`);
      const bytes = randomRecord(type.bytes, round);
      const view = new DataView(bytes.buffer);
      const printed = oracle.read(index, bytes);
      const object = objectDecoder(btf, type.id)(view, 0, bytes.length);
      const wanted = new Map(
        struct.leaves.map((leaf, at) => [leaf.path, expected(leaf, printed[at] ?? '', signedEnums)]),
      );
      const read = new Map(struct.leaves.map(({ path }) => [path, valueAt(object, path)]));
      expect([struct.source, read]).toEqual([struct.source, wanted]);
      compared += checkColumns(type.id, view, struct.leaves, wanted);
    }
    expect(compared).toBeGreaterThan(1000);
  });

  function randomRecord(bytes: number, round: number): Uint8Array {
    const record = Uint8Array.from({ length: bytes }, () => Math.floor(random() * 256));
    // All bits set and all bits clear are where signs and masks go wrong.
    if (round === 0) record.fill(0xff);
    if (round === 1) record.fill(0);
    return record;
  }

  function checkColumns(typeId: number, view: DataView, leaves: readonly Leaf[], wanted: Map<string, unknown>): number {
    const columns = columnsOf(btf, typeId, { arms: leaves.map(({ path }) => path) });
    const layout = { littleEndian: true, bytesMin: view.byteLength };
    const scalar = columns.filter((column): column is Column => wanted.has(column.path));
    for (const column of scalar) {
      expect([column.path, columnReader(layout, column)(view, 0, view.byteLength)]).toEqual([
        column.path,
        wanted.get(column.path),
      ]);
      const pgType = pgTypeOf(column);
      if (pgType === undefined) throw new Error(`${column.path} goes into no table`);
      const out = new CopyWriter();
      copyEncoder(layout, [{ column, pgType }])(view, 0, view.byteLength, out);
      const field = out.take();
      const value = readField(new DataView(field.buffer, field.byteOffset), pgType);
      expect([column.path, pgType, plain(value)]).toEqual([column.path, pgType, plain(wanted.get(column.path))]);
    }
    return scalar.length;
  }
});
