import { beforeAll, describe, expect, it } from '@jest/globals';
import { CopyWriter, objectDecoder } from '@bpfleet/btf';
import type { BpfObjectFile } from '@bpfleet/btf';
import { SAMPLE_MANIFEST, sampleObject } from '../../test/sample-probe.js';
import { ManifestError } from '../manifest/error.js';
import { parseManifest } from '../manifest/parse.js';
import type { EventDecoder } from '../types.js';
import { eventDecoder } from './decoder.js';
import { eventColumns } from './event.js';

const manifest = parseManifest(SAMPLE_MANIFEST);

function connectRecord(object: BpfObjectFile): DataView {
  const struct = object.btf.findByName('struct', 'connect_event');
  if (struct === undefined) throw new Error('no struct');
  const at = (name: string) => (struct.members.find((m) => m.name === name)?.offsetBits ?? NaN) / 8;
  const le = object.littleEndian;
  const view = new DataView(new ArrayBuffer(struct.bytes + 32), 16, struct.bytes);
  const bytes = new Uint8Array(view.buffer, 16);
  view.setBigUint64(at('ts_ns'), 123_456_789_012n, le);
  view.setUint32(at('kind'), 1, le);
  bytes.set([10, 0, 0, 7], at('saddr'));
  bytes.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1], at('daddr'));
  view.setUint16(at('dport'), 443, false);
  view.setUint8(at('old_state'), 1);
  view.setUint8(at('inbound'), 1);
  view.setInt32(at('result'), -111, le);
  view.setBigUint64(at('cgroup'), 2n ** 63n + 5n, le);
  view.setBigUint64(at('took_ns'), 1_500_000n, le);
  view.setUint32(at('verdict'), 3, le);
  view.setUint32(at('dev'), (8 << 20) | 1, le);
  bytes.set(new TextEncoder().encode('a\u00e9'), at('comm'));
  bytes[at('comm') + 3] = 0xff;
  view.setUint32(at('peer'), 0xbeef, le);
  view.setUint32(at('Odd_Name'), 4_000_000_000, le);
  view.setUint32(at('syscall'), 1, le);
  return view;
}

describe('eventColumns', () => {
  const columns = eventColumns(manifest, sampleObject(), 'connect');

  it('gives names and types by struct and manifest; no time, discriminator or padding', () => {
    expect(columns.map(({ name, pgType }) => [name, pgType])).toEqual([
      ['saddr', 'inet'],
      ['daddr', 'inet'],
      ['dport', 'int4'],
      ['old_state', 'text'],
      ['inbound', 'bool'],
      ['result', 'text'],
      ['cgroup', 'numeric'],
      ['took_ns', 'int8'],
      ['verdict', 'text'],
      ['dev', 'text'],
      ['comm', 'text'],
      ['peer_v4', 'text'],
      ['odd_name', 'int8'],
      ['syscall', 'text'],
    ]);
    expect(columns.find((c) => c.name === 'cgroup')?.dictionary).toBe('cgroup');
  });

  it('refuses an event that is not there', () => {
    expect(() => eventColumns(manifest, sampleObject(), 'nothing')).toThrow(ManifestError);
    expect(() => eventColumns(manifest, sampleObject(), 'nothing')).toThrow(/the manifest has connect and exit/);
  });
});

describe.each(['bpfel', 'bpfeb'] as const)('eventDecoder of a %s object', (target) => {
  let object: BpfObjectFile;
  let decoder: EventDecoder;
  let record: DataView;
  beforeAll(() => {
    object = sampleObject(target);
    decoder = eventDecoder(manifest, object, 'connect', { arch: 'x86_64' });
    record = connectRecord(object);
  });

  it('tells its records from others by length and discriminator', () => {
    expect(decoder.matches(record, 0, record.byteLength)).toBe(true);
    expect(decoder.matches(record, 0, record.byteLength - 1)).toBe(false);
    expect(decoder.matches(record, 8, record.byteLength)).toBe(false);
    const exit = eventDecoder(manifest, object, 'exit', { arch: 'x86_64' });
    expect(exit.matches(record, 0, record.byteLength)).toBe(false);
    const other = new DataView(record.buffer.slice(16));
    other.setUint32(8, 2, object.littleEndian);
    expect(exit.matches(other, 0, 24)).toBe(true);
    expect(decoder.matches(other, 0, record.byteLength)).toBe(false);
  });

  it('reads the time, exactly', () => {
    expect(decoder.clock).toBe('boottime');
    expect(decoder.timeNs(record, 0)).toBe(123_456_789_012n);
  });

  it('makes objects that JSON can carry', () => {
    const expected = {
      saddr: '10.0.0.7',
      daddr: '127.0.0.1',
      dport: 443,
      old_state: 'ESTABLISHED',
      inbound: true,
      result: 'ECONNREFUSED',
      cgroup: '9223372036854775813',
      took_ns: 1_500_000,
      verdict: 'DENIED',
      dev: '8:1',
      comm: 'a\u00e9\ufffd',
      peer_v4: '0xbeef',
      odd_name: 4_000_000_000,
      syscall: 'write',
    };
    const seen = decoder.toObject(record, 0, record.byteLength);
    expect(JSON.parse(JSON.stringify(seen))).toEqual(expected);
    const arm = eventDecoder(manifest, object, 'connect', { arch: 'aarch64' });
    expect(arm.toObject(record, 0, record.byteLength)).toMatchObject({ syscall: 'io_destroy' });
  });

  it('encodes the same values as COPY BINARY', () => {
    const out = new CopyWriter();
    decoder.encode(record, 0, record.byteLength, out);
    const expected = new CopyWriter();
    expected.inet(new Uint8Array([10, 0, 0, 7]));
    expected.inet(new Uint8Array([127, 0, 0, 1]));
    expected.int32(443);
    expected.text('ESTABLISHED');
    expected.bool(true);
    expected.text('ECONNREFUSED');
    expected.numeric(2n ** 63n + 5n);
    expected.int64(1_500_000n);
    expected.text('DENIED');
    expected.text('8:1');
    expected.text('a\u00e9\ufffd');
    expected.text('0xbeef');
    expected.int64(4_000_000_000n);
    expected.text('write');
    expect(Buffer.from(out.take()).toString('hex')).toBe(Buffer.from(expected.take()).toString('hex'));
  });

  it('reads a trailing array to the end of its record, and refuses half a record', () => {
    const exit = eventDecoder(manifest, object, 'exit', { arch: 'x86_64' });
    const struct = object.btf.findByName('struct', 'exit_event');
    const bytes = new Uint8Array(48);
    bytes.set(new TextEncoder().encode('ls -l\0rest'), 16);
    const view = new DataView(bytes.buffer);
    expect(exit.toObject(view, 0, 20)).toMatchObject({ args: 'ls -' });
    expect(exit.toObject(view, 0, 32)).toMatchObject({ args: 'ls -l' });
    expect(() => exit.toObject(view, 0, 15)).toThrow(expect.objectContaining({ code: 'RECORD_SHORT' }));
    expect(objectDecoder(object.btf, struct?.id as number)(view, 0, 32)).toMatchObject({ args: 'ls -l' });
  });
});
