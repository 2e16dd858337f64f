import { afterAll, beforeAll, beforeEach, afterEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { FixtureCompiler } from '../fixtures/compile.js';
import type { BpfObject } from './index.js';
import { BpfMap, openObject, possibleCpus } from './index.js';

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

describeWithKernel('BpfMap', ['root'], () => {
  let compiler: FixtureCompiler;
  let bytes: Buffer;
  let object: BpfObject;
  const map = (name: string): BpfMap => object.map(name);

  beforeAll(() => {
    compiler = new FixtureCompiler();
    bytes = compiler.compile('map_kinds');
  });
  afterAll(() => compiler.close());
  beforeEach(() => {
    object = openObject(bytes).load();
  });
  afterEach(() => object.close());

  it('reads, writes, deletes and walks a hash', () => {
    const hash = map('a_hash');
    expect(hash).toMatchObject({ type: 'hash', keyBytes: 4, valueBytes: 8, valueBufferBytes: 8, perCpu: false });
    expect(hash.lookup(u32(1))).toBeUndefined();
    expect(hash.nextKey()).toBeUndefined();
    hash.update(u32(1), u64(11n));
    hash.update(u32(1), u64(12n), 2);
    expect(() => hash.update(u32(1), u64(13n), 1)).toThrow('EEXIST');
    expect(() => hash.update(u32(2), u64(13n), 2)).toThrow('ENOENT');
    expect(hash.lookup(u32(1))).toEqual(u64(12n));
    expect(hash.nextKey()).toEqual(u32(1));
    expect(hash.nextKey(u32(1))).toBeUndefined();
    expect(hash.delete(u32(1))).toBe(true);
    expect(hash.delete(u32(1))).toBe(false);
  });

  it('reads a whole hash over several batches, keys beside their values', () => {
    const hash = map('a_hash');
    for (let i = 0; i < 9_000; i++) hash.update(u32(i), u64(BigInt(i) * 3n));
    const all = hash.readAll();
    expect([all.count, all.truncated]).toEqual([9_000, false]);
    const seen = new Set<number>();
    for (let i = 0; i < all.count; i++) {
      const key = all.keys.readUInt32LE(i * 4);
      seen.add(key);
      if (all.values.readBigUInt64LE(i * 8) !== BigInt(key) * 3n) throw new Error(`wrong value of ${key}`);
    }
    expect(seen.size).toBe(9_000);
    const part = hash.readAll({ entriesMax: 100 });
    expect([part.count, part.truncated]).toEqual([100, true]);
  });

  it('tells of a map whether it is read in batches, empty or not, and of a queue that it is not', () => {
    const hash = map('a_hash');
    expect(hash.readsInBatches()).toBe(true);
    for (let key = 0; key < 1000; key++) hash.update(u32(key), u64(1n));
    expect(hash.readsInBatches()).toBe(true);
    expect(hash.readAll().count).toBe(1000);
    expect(
      BpfMap.create({ type: 'queue', name: 'q', keyBytes: 0, valueBytes: 8, maxEntries: 1 }).readsInBatches(),
    ).toBe(false);
  });

  it('reads a whole array, LRU and trie', () => {
    map('an_array').update(u32(15), u64(5n));
    const array = map('an_array').readAll();
    expect([array.count, array.truncated, array.values.readBigUInt64LE(15 * 8)]).toEqual([16, false, 5n]);
    expect(() => map('an_array').update(u32(16), u64(5n))).toThrow('E2BIG');

    map('an_lru').update(u32(7), u64(8n));
    expect(map('an_lru').readAll()).toMatchObject({ count: 1, keys: u32(7), values: u64(8n) });

    // A prefix of 8 bits, then a longer one: the trie has no batches, so this goes key by key.
    const prefix = Buffer.from('080000000a000000', 'hex');
    map('a_trie').update(prefix, u64(1n));
    expect(map('a_trie').lookup(Buffer.from('200000000a000001', 'hex'))).toEqual(u64(1n));
    expect(map('a_trie').readAll()).toMatchObject({ count: 1, keys: prefix, truncated: false });
  });

  it('gives one padded value for each possible CPU', () => {
    const cpus = possibleCpus();
    const hash = map('a_percpu_hash');
    expect(hash).toMatchObject({ perCpu: true, valueBytes: 4, valueBufferBytes: 8 * cpus });
    const value = Buffer.alloc(8 * cpus);
    for (let cpu = 0; cpu < cpus; cpu++) value.writeUInt32LE(cpu + 1, cpu * 8);
    hash.update(u32(9), value);
    expect(hash.lookup(u32(9))).toEqual(value);
    expect(hash.readAll()).toMatchObject({ count: 1, keys: u32(9), values: value });

    object.program('touch').testRun({ data: Buffer.alloc(64), repeat: 10 });
    const touched = map('a_percpu_array').lookup(u32(0)) ?? Buffer.alloc(8 * cpus);
    let total = 0n;
    for (let cpu = 0; cpu < cpus; cpu++) total += touched.readBigUInt64LE(cpu * 8);
    expect(total).toBe(10n);
    expect(map('a_percpu_array').readAll().count).toBe(4);
  });

  it('pushes to and peeks at a queue, whose keys are empty', () => {
    const queue = map('a_queue');
    expect(queue.lookup(Buffer.alloc(0))).toBeUndefined();
    queue.update(Buffer.alloc(0), u64(1n));
    queue.update(Buffer.alloc(0), u64(2n));
    expect(queue.lookup(Buffer.alloc(0))).toEqual(u64(1n));
    expect(() => queue.readAll()).toThrow('EOPNOTSUPP');
  });

  it('refuses buffers of another size and things that are no buffers', () => {
    const hash = map('a_hash');
    for (const misuse of [
      () => hash.lookup(Buffer.alloc(3)),
      () => hash.lookup('1234' as unknown as Buffer),
      () => hash.update(u32(1), Buffer.alloc(7)),
      () => hash.update(u32(1), u64(1n), -1),
      () => hash.delete(Buffer.alloc(5)),
      () => hash.nextKey(Buffer.alloc(0)),
      () => hash.readAll({ entriesMax: 0 }),
      () => map('a_percpu_hash').update(u32(1), u32(1)),
    ]) {
      expect(misuse).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
    }
  });
});
