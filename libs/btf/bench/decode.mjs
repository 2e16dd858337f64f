// How much generated decoders gain: records of 64 bytes and 9 fields into COPY BINARY bytes, and into objects. Every variant
// runs over the same records, in turns, so that a busy machine slows all of them alike; the median of the rounds counts.
import { parseBtf, columnsOf, copyEncoder, CopyWriter, objectDecoder, pgTypeOf, writeBtf } from '../dist/index.js';

const RECORDS = 20_000;
const RECORD_BYTES = 64;
const WARM_UP_ROUNDS = 30;
const ROUNDS = 101;
const COMM_BYTES = 16;

export function run() {
  const { btf, id } = eventType();
  const records = makeRecords();
  const columns = columnsOf(btf, id).map((column) => ({ column, pgType: pgTypeOf(column) }));
  // What a manifest says of time stamps and addresses: they fit into int8, and need no numeric.
  for (const entry of columns) if (entry.pgType === 'numeric') entry.pgType = 'int8';
  const encode = copyEncoder({ littleEndian: true, bytesMin: RECORD_BYTES }, columns);
  const decode = objectDecoder(btf, id);
  const table = fieldTable(columns);
  const writers = { generated: new CopyWriter(1 << 22), walked: new CopyWriter(1 << 22) };
  checkSameBytes(encode, table, records, writers);
  checkSameObjects(decode, records);
  const seconds = measure({
    generated: () => encodeAll(encode, records, writers.generated),
    walked: () => walkAll(table, records, writers.walked),
    objects: () => decodeAll(decode, records),
    handWritten: () => handAll(records),
  });
  const rate = (name) => Math.round(RECORDS / seconds[name]);
  const two = (value) => Math.round(value * 100) / 100;
  return {
    name: 'decode',
    ratio: two(seconds.walked / seconds.generated),
    ours: rate('generated'),
    baseline: rate('walked'),
    unit: 'records/s',
    objects: two(seconds.handWritten / seconds.objects),
    objectsOurs: rate('objects'),
    objectsBaseline: rate('handWritten'),
    record: `${RECORD_BYTES} bytes, ${columns.length} fields`,
    rounds: ROUNDS,
    node: process.version,
  };
}

/** struct event { u64 ts_ns; s64 delta; u32 pid, ppid; s32 code; u32 uid; u64 bytes; char comm[16]; u64 cookie; } */
function eventType() {
  const int = (name, bytes, signed) => ({
    kind: 'int',
    id: 0,
    name,
    bytes,
    bits: bytes * 8,
    offsetBits: 0,
    signed,
    isBool: false,
    isChar: name === 'char',
  });
  const [U64, S64, U32, S32, CHAR, COMM] = [1, 2, 3, 4, 5, 6];
  const fields = [
    ['ts_ns', U64],
    ['delta', S64],
    ['pid', U32],
    ['ppid', U32],
    ['code', S32],
    ['uid', U32],
    ['bytes', U64],
    ['comm', COMM],
    ['cookie', U64],
  ];
  const offsets = [0, 8, 16, 20, 24, 28, 32, 40, 56];
  const members = fields.map(([name, typeId], index) => ({
    name,
    typeId,
    offsetBits: offsets[index] * 8,
    bitfieldBits: 0,
  }));
  const types = [
    int('__u64', 8, false),
    int('__s64', 8, true),
    int('__u32', 4, false),
    int('__s32', 4, true),
    int('char', 1, true),
    { kind: 'array', id: 0, name: '', typeId: CHAR, indexTypeId: U32, count: COMM_BYTES },
    { kind: 'struct', id: 0, name: 'event', bytes: RECORD_BYTES, members },
  ];
  return { btf: parseBtf(writeBtf(types)), id: types.length };
}

function makeRecords() {
  const view = new DataView(new ArrayBuffer(RECORDS * RECORD_BYTES));
  for (let i = 0; i < RECORDS; i += 1) {
    const o = i * RECORD_BYTES;
    view.setBigUint64(o, 1_700_000_000_000_000_000n + BigInt(i) * 977n, true);
    view.setBigInt64(o + 8, BigInt((i % 1000) - 500), true);
    view.setUint32(o + 16, 1000 + (i % 3000), true);
    view.setUint32(o + 20, 1 + (i % 100), true);
    view.setInt32(o + 24, -(i % 40), true);
    view.setUint32(o + 28, i % 7 === 0 ? 0 : 1000, true);
    view.setBigUint64(o + 32, BigInt(i) * 4096n, true);
    const comm = `worker/${i % 50}`;
    for (let c = 0; c < comm.length; c += 1) view.setUint8(o + 40 + c, comm.charCodeAt(c));
    view.setBigUint64(o + 56, BigInt(i) * 0x1_0000_0001n, true);
  }
  return view;
}

/** The table that a decoder without code generation walks: for each field its kind, place and type. */
function fieldTable(columns) {
  return columns.map(({ column, pgType }) => ({
    kind: column.kind,
    offset: column.offsetBits / 8,
    bytes: column.bits / 8,
    pgType,
  }));
}

/** Reads a value by its kind, then writes it by its type: as plain as one would write it. */
function walk(table, view, offset, out) {
  for (const { kind, offset: at, bytes, pgType } of table) {
    const position = offset + at;
    let value;
    switch (kind) {
      case 'int':
        value =
          bytes === 8
            ? view.getBigInt64(position, true)
            : bytes === 4
              ? view.getInt32(position, true)
              : view.getInt16(position, true);
        break;
      case 'uint':
        value =
          bytes === 8
            ? view.getBigUint64(position, true)
            : bytes === 4
              ? view.getUint32(position, true)
              : view.getUint16(position, true);
        break;
      case 'text':
        value = position;
        break;
      default:
        throw new Error(`no ${kind} in this benchmark`);
    }
    switch (pgType) {
      case 'int4':
        out.int32(value);
        break;
      case 'int8':
        out.int64(typeof value === 'bigint' ? value : BigInt(value));
        break;
      case 'text':
        out.textFromView(view, value, value + bytes);
        break;
      default:
        throw new Error(`no ${pgType} in this benchmark`);
    }
  }
}

function walkAll(table, view, out) {
  out.position = 0;
  for (let i = 0; i < RECORDS; i += 1) walk(table, view, i * RECORD_BYTES, out);
  return out.position;
}

function encodeAll(encode, view, out) {
  out.position = 0;
  for (let i = 0; i < RECORDS; i += 1) encode(view, i * RECORD_BYTES, RECORD_BYTES, out);
  return out.position;
}

function decodeAll(decode, view) {
  let last;
  for (let i = 0; i < RECORDS; i += 1) last = decode(view, i * RECORD_BYTES, RECORD_BYTES);
  return last.pid;
}

/** What one would write by hand for this struct. */
function byHand(view, offset) {
  let comm = '';
  for (let at = offset + 40; at < offset + 56; at += 1) {
    const byte = view.getUint8(at);
    if (byte === 0) break;
    comm += String.fromCharCode(byte);
  }
  return {
    ts_ns: view.getBigUint64(offset, true),
    delta: view.getBigInt64(offset + 8, true),
    pid: view.getUint32(offset + 16, true),
    ppid: view.getUint32(offset + 20, true),
    code: view.getInt32(offset + 24, true),
    uid: view.getUint32(offset + 28, true),
    bytes: view.getBigUint64(offset + 32, true),
    comm,
    cookie: view.getBigUint64(offset + 56, true),
  };
}

function handAll(view) {
  let last;
  for (let i = 0; i < RECORDS; i += 1) last = byHand(view, i * RECORD_BYTES);
  return last.pid;
}

function checkSameBytes(encode, table, records, writers) {
  encodeAll(encode, records, writers.generated);
  walkAll(table, records, writers.walked);
  const ours = writers.generated.take();
  const theirs = writers.walked.take();
  if (Buffer.compare(ours, theirs) !== 0) throw new Error('the generated encoder and the walk write different bytes');
}

function checkSameObjects(decode, view) {
  const text = (object) => JSON.stringify(object, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
  const ours = text(decode(view, RECORD_BYTES * 7, RECORD_BYTES));
  if (ours !== text(byHand(view, RECORD_BYTES * 7))) throw new Error('the generated decoder and the hand disagree');
}

/** Seconds of one pass over all records, the median of many, taken in turns. */
function measure(variants) {
  const names = Object.keys(variants);
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) for (const name of names) variants[name]();
  const taken = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of names) {
      const start = process.hrtime.bigint();
      variants[name]();
      taken.get(name).push(Number(process.hrtime.bigint() - start) / 1e9);
    }
  }
  return Object.fromEntries([...taken].map(([name, times]) => [name, times.sort((a, b) => a - b)[ROUNDS >> 1]]));
}
