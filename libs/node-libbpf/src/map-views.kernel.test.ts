import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { cgroup2Root, FixtureCompiler } from '../fixtures/compile.js';
import type { BpfObject } from './index.js';
import {
  BloomFilter,
  BpfMap,
  LibbpfError,
  lpmKey,
  MapOfMaps,
  MapQueue,
  openObject,
  parseLpmKey,
  PerfReader,
  perCpuCodec,
  possibleCpus,
  ProgramArray,
  StorageMap,
  u32Codec,
  u64Codec,
  UserRingWriter,
} from './index.js';

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  u32Codec.encode(value, bytes, 0);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  u64Codec.encode(value, bytes, 0);
  return bytes;
}

describeWithKernel('views of maps', ['root', 'bpf', 'btf', 'clang'], () => {
  let compiler: FixtureCompiler;
  let bytes: Buffer;
  let object: BpfObject;
  const map = (name: string): BpfMap => object.map(name);
  const run = (program: string, repeat = 1) =>
    object.program(program).testRun({ data: Buffer.alloc(64), repeat }).returnValue;

  beforeAll(() => {
    compiler = new FixtureCompiler();
    bytes = compiler.compile('map_views');
  });
  afterAll(() => compiler.close());
  beforeEach(() => {
    object = openObject(bytes).load();
  });
  afterEach(() => object.close());

  /** One CPU for this thread: what the kernel lost, it tells with the next record of the same CPU. */
  function onOneCpu(test: () => void): void {
    const pid = String(process.pid);
    const before = execFileSync('taskset', ['-pc', pid], { encoding: 'utf8' }).trim().split(': ')[1] ?? '0';
    execFileSync('taskset', ['-pc', before.split(/[,-]/)[0] ?? '0', pid]);
    try {
      test();
    } finally {
      execFileSync('taskset', ['-pc', before, pid]);
    }
  }

  it('typed: reads and writes through codecs, alone and many at once', async () => {
    const hash = BpfMap.create({ type: 'hash', keyBytes: 4, valueBytes: 8, maxEntries: 5_000 });
    const typed = hash.typed({ key: u32Codec, value: u64Codec });
    typed.set(1, 11n);
    expect([typed.get(1), typed.get(2), typed.delete(1), typed.delete(1)]).toEqual([11n, undefined, true, false]);
    const entries = Array.from({ length: 4_000 }, (_, i) => [i, BigInt(i) * 3n] as [number, bigint]);
    typed.setMany(entries);
    expect(typed.readAll().sort(([a], [b]) => a - b)).toEqual(entries);
    const walked: Array<[number, bigint]> = [];
    for await (const entry of typed.entries({ chunkEntries: 64 })) walked.push(entry);
    expect(walked.sort(([a], [b]) => a - b)).toEqual(entries);
    expect(typed.deleteMany([0, 9_999, 1, 1, 3_999])).toBe(3);
    expect(typed.readAll().length).toBe(3_997);
    expect(() =>
      typed.setMany(
        [
          [2, 0n],
          [3, 0n],
        ],
        1,
      ),
    ).toThrow('after 0 of 2 entries');
    expect(() => hash.typed({ key: u64Codec, value: u64Codec })).toThrow('the key codec has 8 bytes, the map 4');
    hash.close();
    expect(() => typed.get(1)).toThrow(expect.objectContaining({ code: 'BPF_CLOSED' }));
  });

  it('typed: a per-CPU value is one value for each CPU', () => {
    const counters = BpfMap.create({ type: 'percpu_array', keyBytes: 4, valueBytes: 4, maxEntries: 2 });
    const typed = counters.typed({ key: u32Codec, value: perCpuCodec(u32Codec) });
    const values = Array.from({ length: possibleCpus() }, (_, cpu) => cpu + 5);
    typed.set(1, values);
    expect(typed.get(1)).toEqual(values);
    expect(() => typed.set(1, [])).toThrow('one a CPU');
    counters.close();
  });

  it('chunks: walks a type without batches key by key, and takes a chunk smaller than a hash bucket', async () => {
    const noPrealloc = 1;
    const trie = BpfMap.create({ type: 'lpm_trie', keyBytes: 8, valueBytes: 4, maxEntries: 99, flags: noPrealloc });
    for (let i = 0; i < 50; i++) trie.update(lpmKey(32, Buffer.from([10, 0, 0, i])), u32(i));
    const seen = new Set<number>();
    for await (const { count, keys, values } of trie.chunks({ chunkEntries: 7 })) {
      expect(count).toBeLessThanOrEqual(7);
      for (let i = 0; i < count; i++) {
        expect(parseLpmKey(keys.subarray(i * 8, i * 8 + 8)).bytes[3]).toBe(values.readUInt32LE(i * 4));
        seen.add(values.readUInt32LE(i * 4));
      }
    }
    expect(seen.size).toBe(50);
    trie.update(lpmKey(8, Buffer.from([10, 0, 0, 0])), u32(1_000));
    expect(trie.lookup(lpmKey(32, Buffer.from([10, 9, 9, 9])))).toEqual(u32(1_000));
    expect(() => lpmKey(33, Buffer.alloc(4))).toThrow('from 0 to 32');
    trie.close();

    const hash = BpfMap.create({ type: 'hash', keyBytes: 4, valueBytes: 4, maxEntries: 500 });
    for (let i = 0; i < 500; i++) hash.update(u32(i), u32(i));
    let total = 0;
    for await (const { count } of hash.chunks({ chunkEntries: 1 })) total += count;
    expect(total).toBe(500);
    // Whole buckets come at once; the bound holds all the same.
    for (let entriesMax = 1; entriesMax <= 60; entriesMax++)
      expect(hash.readAll({ entriesMax }).count).toBe(entriesMax);
    hash.close();
  });

  it('updateMany and deleteMany: refuse uneven buffers, and say how far they came', () => {
    const hash = BpfMap.create({ type: 'hash', keyBytes: 4, valueBytes: 4, maxEntries: 3 });
    const keys = Buffer.concat([u32(1), u32(2), u32(3), u32(4)]);
    expect(() => hash.updateMany(keys, keys)).toThrow('after 3 of 4 entries');
    expect(() => hash.updateMany(keys, keys.subarray(4))).toThrow('must have 16 bytes');
    expect(() => hash.deleteMany(Buffer.alloc(3))).toThrow('multiple of 4');
    expect(hash.deleteMany(keys)).toBe(3);
    hash.updateMany(Buffer.alloc(0), Buffer.alloc(0));
    hash.close();
  });

  it('mmap: the Buffer is the map, also after close', () => {
    const buffer = map('mapped').mmap();
    expect(buffer.length).toBe(800);
    run('bump', 3);
    expect(buffer.readUInt32LE(7 * 8)).toBe(3);
    buffer.writeUInt32LE(40, 7 * 8);
    expect(map('mapped').lookup(u32(7))).toEqual(u32(40));
    expect(() => map('mapped').freeze()).toThrow('EBUSY');
    expect(() => map('first_inner').mmap()).toThrow('EINVAL');
    object.close();
    expect(buffer.readUInt32LE(7 * 8)).toBe(40);
  });

  it('freeze: ends writes from user space, and mappings', () => {
    map('mapped').freeze();
    expect(() => map('mapped').update(u32(0), u32(1))).toThrow('EPERM');
    expect(() => map('mapped').mmap()).toThrow('EPERM');
    run('bump');
    expect(map('mapped').lookup(u32(7))).toEqual(u32(1));
  });

  it('map of maps: takes, gives and forgets inner maps', () => {
    const outer = new MapOfMaps(map('outer'));
    expect(outer.get(u32(1))).toBeUndefined();
    map('first_inner').update(u32(5), u64(55n));
    outer.set(u32(1), map('first_inner'));
    const made = BpfMap.create({ type: 'hash', name: 'made', keyBytes: 4, valueBytes: 8, maxEntries: 8 });
    outer.set(u32(2), made);
    const inner = outer.get(u32(1));
    expect([inner?.id, inner?.lookup(u32(5))]).toEqual([map('first_inner').id, u64(55n)]);
    inner?.close();
    expect([outer.delete(u32(2)), outer.get(u32(2))]).toEqual([true, undefined]);
    const unlike = BpfMap.create({ type: 'array', keyBytes: 4, valueBytes: 8, maxEntries: 8 });
    expect(() => outer.set(u32(3), unlike)).toThrow('EINVAL');
    expect(() => new MapOfMaps(made)).toThrow('array_of_maps');
    made.close();
    unlike.close();
  });

  it('program array: tail calls go where it says', () => {
    const jumps = new ProgramArray(map('jumps'));
    expect([run('jump'), jumps.get(2)]).toEqual([2, undefined]);
    jumps.set(2, object.program('landing'));
    expect([run('jump'), jumps.get(2)]).toEqual([3, object.program('landing').id]);
    expect([jumps.delete(2), run('jump')]).toEqual([true, 2]);
    expect(() => jumps.set(4, object.program('landing'))).toThrow('from 0 to 3');
  });

  it('stack and queue: push, peek, pop, and what happens when full', () => {
    const stack = new MapQueue(map('stack'));
    expect([stack.pop(), stack.peek()]).toEqual([undefined, undefined]);
    for (const value of [1n, 2n, 3n]) expect(stack.push(u64(value))).toBe(true);
    expect(stack.push(u64(4n))).toBe(false);
    expect(stack.push(u64(5n), { overwrite: true })).toBe(true);
    expect([stack.peek(), stack.pop(), stack.pop(), stack.pop(), stack.pop()]).toEqual([
      u64(5n),
      u64(5n),
      u64(3n),
      u64(2n),
      undefined,
    ]);
    const queue = new MapQueue(BpfMap.create({ type: 'queue', keyBytes: 0, valueBytes: 8, maxEntries: 2 }));
    for (const value of [1n, 2n]) queue.push(u64(value));
    expect([queue.pop(), queue.pop(), queue.pop()]).toEqual([u64(1n), u64(2n), undefined]);
    queue.map.close();
    expect(() => new MapQueue(map('mapped'))).toThrow('queue or stack');
  });

  it('hash: take reads and deletes in one step', () => {
    map('first_inner').update(u32(1), u64(9n));
    expect([map('first_inner').take(u32(1)), map('first_inner').take(u32(1))]).toEqual([u64(9n), undefined]);
  });

  it('bloom filter: never denies what was added', () => {
    const bloom = new BloomFilter(map('bloom'));
    expect(bloom.has(u64(1n))).toBe(false);
    for (let i = 0n; i < 50n; i++) bloom.add(u64(i));
    for (let i = 0n; i < 50n; i++) expect(bloom.has(u64(i))).toBe(true);
    expect(() => map('mapped').mayContain(u32(1))).toThrow('not a bloom filter');
  });

  it('user ring: the program reads what was written, and a full ring says so', () => {
    const writer = new UserRingWriter(map('orders'));
    for (const amount of [1n, 20n, 300n]) expect(writer.write(u64(amount))).toBe(true);
    expect(run('take_orders')).toBe(3);
    expect(object.global('received').get()).toBe(321n);
    let written = 0;
    while (writer.write(u64(1n))) written++;
    expect(written).toBe(4096 / 16);
    expect(run('take_orders')).toBe(written);
    expect(() => writer.write(Buffer.alloc(5000))).toThrow('E2BIG');
    expect(() => new UserRingWriter(map('mapped'))).toThrow('not a user ring');
    writer.close();
    writer.close();
    expect(() => writer.write(u64(1n))).toThrow(expect.objectContaining({ code: 'BPF_CLOSED' }));
  });

  it('perf buffer: drains and commits as a ring, and counts what was lost', () =>
    onOneCpu(() => {
      const reader = new PerfReader(map('events'), { dataBytesPerCpu: 4096 });
      const target = Buffer.alloc(64 * 1024);
      expect(reader.drain(target)).toEqual({ bytes: 0, records: 0, position: 0n, more: false });
      run('write_event', 5);
      const first = reader.drain(target);
      expect(first).toMatchObject({ records: 5, more: false });
      const step = first.bytes / 5;
      // 24 bytes, and the kernel's padding that makes length and record a multiple of 8.
      expect([step, target.readUInt32LE(0)]).toEqual([32, 28]);
      const sequences = Array.from({ length: 5 }, (_, i) => target.readBigUInt64LE(i * step + 4));
      expect(sequences).toEqual([0n, 1n, 2n, 3n, 4n]);
      expect(reader.drain(target)).toMatchObject({ records: 0, position: first.position });

      // Nothing is committed yet, so the ring fills up and the kernel drops.
      run('write_event', 500);
      const second = reader.drain(target);
      reader.commit(first.position);
      expect(() => reader.commit(first.position - 8n)).toThrow('ERANGE');
      expect(() => reader.commit(second.position + 8n)).toThrow('ERANGE');
      reader.commit(second.position);
      const successes = 5 + second.records;
      run('write_event');
      let last = reader.drain(target);
      expect(last.records).toBe(1);
      reader.commit(last.position);
      expect(BigInt(successes) + reader.lost + 1n).toBe(506n);
      expect(reader.lost).toBeGreaterThan(0n);

      // Over many wraps, also with a target that holds one record only.
      const small = Buffer.alloc(32);
      for (let round = 0; round < 10; round++) {
        run('write_event', 60);
        let records = 0;
        do {
          last = reader.drain(small);
          records += last.records;
          reader.commit(last.position);
        } while (last.more);
        expect(records).toBe(60);
      }
      run('write_event');
      expect(() => reader.drain(Buffer.alloc(16))).toThrow('EMSGSIZE');
      expect(reader.drain(small).records).toBe(1);
      expect(() => new PerfReader(map('events'), { dataBytesPerCpu: 5000 })).toThrow('EINVAL');
      expect(() => new PerfReader(map('mapped'), { dataBytesPerCpu: 4096 })).toThrow('not a perf buffer');
      reader.close();
      reader.close();
      expect(() => reader.drain(target)).toThrow(expect.objectContaining({ code: 'BPF_CLOSED' }));
    }));

  it('perf buffer: goes on when the map handle is closed', () => {
    const reader = new PerfReader(map('events'), { dataBytesPerCpu: 4096 });
    map('events').close();
    run('write_event', 2);
    expect(reader.drain(Buffer.alloc(256)).records).toBe(2);
    reader.close();
  });

  it('storage: of a task, a socket, an inode and a cgroup', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    const owners = [
      ['of_task', { pid: process.pid }],
      ['of_socket', { fd }],
      ['of_inode', { path: '/' }],
      ...(cgroup2Root() === undefined ? [] : [['of_cgroup', { path: cgroup2Root() ?? '' }] as const]),
    ] as const;
    for (const [name, owner] of owners) {
      const storage = new StorageMap(map(name));
      expect(storage.get(owner)).toBeUndefined();
      storage.set(owner, u64(7n));
      expect([storage.get(owner), storage.delete(owner), storage.delete(owner)]).toEqual([u64(7n), true, false]);
    }
    const task = new StorageMap(map('of_task'));
    expect(() => task.get({ fd })).toThrow('belongs to a pid');
    expect(() => task.get({ pid: 0x7fff_fff0 })).toThrow(LibbpfError);
    expect(() => new StorageMap(map('of_inode')).get({ path: '/no/such/file' })).toThrow('ENOENT');
    expect(() => new StorageMap(map('stack'))).toThrow('task_storage');
    server.close();
  });

  it('create: refuses types that do not exist', () => {
    const wanted = { keyBytes: 4, valueBytes: 4, maxEntries: 1 };
    expect(() => BpfMap.create({ ...wanted, type: 'no_such' })).toThrow('EINVAL');
    expect(() => BpfMap.create({ ...wanted, type: 'hash', maxEntries: -1 })).toThrow('maxEntries');
  });
});
