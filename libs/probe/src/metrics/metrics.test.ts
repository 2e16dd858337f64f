import { describe, expect, it } from '@jest/globals';
import { SAMPLE_MANIFEST, sampleObject } from '../../test/sample-probe.js';
import { parseManifest } from '../manifest/parse.js';
import { profileReader } from '../profiles/profile.js';
import { rawBounds, scaler, slotFor } from './buckets.js';
import { bucketBounds, metricReader } from './reader.js';

const manifest = parseManifest(SAMPLE_MANIFEST);
const CONTEXT = { arch: 'x86_64', cpus: 2 };

function bytesOf(...words: bigint[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 8);
  words.forEach((word, i) => new DataView(bytes.buffer).setBigUint64(i * 8, word, true));
  return bytes;
}

function u32s(littleEndian: boolean, ...words: number[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(i * 4, word, littleEndian));
  return bytes;
}

function histKey(comm: string, protocol: number, behindNul = 0): Uint8Array {
  const key = new Uint8Array(24);
  key.set(new TextEncoder().encode(comm));
  key[15] = behindNul;
  key[16] = protocol;
  key.set([0x01, 0xbb], 18);
  key.set([192, 168, 0, 1], 20);
  return key;
}

describe('buckets', () => {
  it.each([
    ['exp2' as const, 5, [0, 1, 2, 3, 4, 15, 16, 31, 32, 1e9], [0, 0, 1, 1, 2, 3, 4, 4, 4, 4]],
    ['exp2zero' as const, 5, [0, 1, 2, 3, 4, 7, 8, 15, 16, 1e9], [0, 1, 2, 2, 3, 3, 4, 4, 4, 4]],
    [{ linear: { min: 10, step: 5, count: 4 } }, 4, [0, 10, 14, 15, 20, 24, 25, 99], [0, 0, 0, 1, 2, 2, 3, 3]],
    [{ fixed: [1, 10, 100] }, 4, [0, 1, 9, 10, 99, 100, 1e9], [0, 1, 1, 2, 2, 3, 3]],
  ])('%j', (buckets, slots, values, expected) => {
    expect(values.map((value) => slotFor(buckets, slots, value))).toEqual(expected);
    expect(rawBounds(buckets, slots)).toHaveLength(slots - 1);
  });

  it('scale to what the name says', () => {
    expect(scaler({ name: 'a_seconds', unit: 'us' })(1)).toBe(0.000001);
    expect(scaler({ name: 'a_seconds_total', unit: 'ms' })(1)).toBe(0.001);
    expect(scaler({ name: 'a_bytes', unit: 'kib' })(3)).toBe(3072);
    expect(scaler({ name: 'a_ns', unit: 'ns' })(7)).toBe(7);
    expect(bucketBounds(manifest, sampleObject(), 'wait_seconds')).toEqual([2e-6, 4e-6, 8e-6, 16e-6, 32e-6]);
    expect(bucketBounds(manifest, sampleObject(), 'depth')).toEqual([]);
  });
});

describe('metricReader', () => {
  const object = sampleObject();

  it('sums histograms over CPUs, decodes labels and joins keys that look alike', () => {
    const reader = metricReader(manifest, object, 'wait_seconds', CONTEXT);
    expect([reader.keyBytes, reader.valueStrideBytes]).toEqual([24, 112]);
    const slots = (first: bigint, sum: bigint) => [first, 0n, 2n, 0n, 0n, 1n, sum];
    const keys = new Uint8Array([...histKey('cat', 6), ...histKey('dog', 99), ...histKey('cat', 6, 7)]);
    const values = bytesOf(
      ...[...slots(1n, 100n), ...slots(10n, 50n)],
      ...[...slots(0n, 0n), ...slots(0n, 0n)],
      ...[...slots(100n, 1n), ...slots(0n, 0n)],
    );
    expect(reader.read(keys, values, 3)).toEqual([
      {
        labels: { comm: 'cat', proto: 'tcp', saddr: '192.168.0.1', port: '443' },
        count: 111 + 8 + 4,
        sum: 151e-6,
        buckets: [111, 0, 8, 0, 0, 4],
      },
      {
        labels: { comm: 'dog', proto: '99', saddr: '192.168.0.1', port: '443' },
        count: 6,
        sum: 0,
        buckets: [0, 0, 4, 0, 0, 2],
      },
    ]);
  });

  it('reads arrays by index and leaves out what is zero', () => {
    const reader = metricReader(manifest, object, 'packets_total', CONTEXT);
    const values = bytesOf(1n, 60n, 2n, 80n, 0n, 0n, 0n, 0n, 0n, 0n, 5n, 9n);
    expect(reader.read(u32s(true, 6, 7, 17), values, 3)).toEqual([
      { labels: { protocol: '6' }, value: 3 },
      { labels: { protocol: '17' }, value: 5 },
    ]);
  });

  it('names system calls by architecture, and shows numbers without a name', () => {
    const values = u32s(true, 4, 5);
    const read = (arch: string) =>
      metricReader(manifest, object, 'syscalls_total', { ...CONTEXT, arch }).read(u32s(true, 0, 435), values, 2);
    expect(read('x86_64')).toEqual([
      { labels: { syscall: 'read' }, value: 4 },
      { labels: { syscall: 'clone3' }, value: 5 },
    ]);
    expect(read('aarch64')[0]?.labels).toEqual({ syscall: 'io_setup' });
    expect(read('riscv64')[0]?.labels).toEqual({ syscall: '0' });
  });

  it('reports a zero that has no labels, and numbers below zero', () => {
    const reader = metricReader(manifest, object, 'depth', CONTEXT);
    expect(reader.read(u32s(true, 0), bytesOf(0n), 1)).toEqual([{ labels: {}, value: 0 }]);
    expect(reader.read(u32s(true, 0), bytesOf(BigInt.asUintN(64, -5n)), 1)).toEqual([{ labels: {}, value: -5 }]);
    expect(reader.read(u32s(true, 0), bytesOf(2n ** 53n - 1n), 1)).toEqual([{ labels: {}, value: 2 ** 53 - 1 }]);
  });

  it('reads big-endian machines', () => {
    const reader = metricReader(manifest, sampleObject('bpfeb'), 'syscalls_total', CONTEXT);
    expect(reader.read(u32s(false, 1), u32s(false, 300), 1)).toEqual([{ labels: { syscall: 'write' }, value: 300 }]);
  });

  it('refuses snapshots that are too short', () => {
    const reader = metricReader(manifest, object, 'depth', CONTEXT);
    const short = expect.objectContaining({ code: 'RECORD_SHORT' });
    expect(() => reader.read(u32s(true, 0), bytesOf(0n), 2)).toThrow(short);
    expect(() => reader.read(new Uint8Array(), bytesOf(0n), 1)).toThrow(short);
  });
});

describe('profileReader', () => {
  it('reads stacks, errors as no stack, and labels', () => {
    const reader = profileReader(manifest, sampleObject(), 'cpu', CONTEXT);
    const key = (pid: number, kernel: number, user: number) => [
      ...u32s(true, pid, kernel, user),
      ...new TextEncoder().encode('node\0\0\0\0'),
    ];
    const keys = new Uint8Array([...key(7, 12, 0xffff_fff2), ...key(8, 0xffff_ffff, 3), ...key(9, 1, 1)]);
    expect(reader.read(keys, bytesOf(5n, 6n, 0n), 3)).toEqual([
      { kernelStackId: 12, userStackId: undefined, labels: { pid: '7', comm: 'node' }, count: 5 },
      { kernelStackId: undefined, userStackId: 3, labels: { pid: '8', comm: 'node' }, count: 6 },
    ]);
  });
});

describe('device dictionaries', () => {
  it('name what only the device knows, and show the number until it is known', () => {
    const text = SAMPLE_MANIFEST.replace('labels: { protocol: unsigned }', 'labels: { protocol: ifname }');
    const named = {
      ...CONTEXT,
      dictionary: (kind: string, id: string) => (kind === 'ifname' && id === '2' ? 'eth0' : undefined),
    };
    const reader = metricReader(parseManifest(text), sampleObject(), 'packets_total', named);
    const labels = reader
      .read(u32s(true, 2, 3), bytesOf(1n, 1n, 0n, 0n, 1n, 1n, 0n, 0n), 2)
      .map((point) => point.labels);
    expect(labels).toEqual([{ protocol: 'eth0' }, { protocol: '3' }]);
  });
});
