import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { FixtureCompiler, makePinFolder } from '../fixtures/compile.js';
import type { BpfObject } from './index.js';
import { BpfMap, openObject, RingReader } from './index.js';

/** The sequence numbers of drained records; checks the framing and the long record's text on the way. */
function sequences(target: Buffer, bytes: number): bigint[] {
  const found: bigint[] = [];
  for (let offset = 0; offset < bytes;) {
    const length = target.readUInt32LE(offset);
    found.push(target.readBigUInt64LE(offset + 4));
    if (length !== 8 && target.toString('latin1', offset + 12, offset + 4 + length) !== 'x'.repeat(93)) {
      throw new Error(`damaged record of ${length} bytes at ${offset}`);
    }
    offset += Math.ceil((4 + length) / 8) * 8;
  }
  return found;
}

describeWithKernel('RingReader', ['root'], () => {
  let compiler: FixtureCompiler;
  let bytes: Buffer;
  let object: BpfObject;
  const target = Buffer.alloc(64 * 1024);

  beforeAll(() => {
    compiler = new FixtureCompiler();
    bytes = compiler.compile('ring');
  });
  afterAll(() => compiler.close());
  beforeEach(() => {
    object = openObject(bytes).load();
  });
  afterEach(() => object.close());

  /** `s` a short record, `l` a long one, `d` a discarded one. */
  function write(kind: 's' | 'l' | 'd', times = 1): void {
    object.program('write_record').testRun({ data: Buffer.alloc(64, kind), repeat: times });
  }

  it('copies records and frees nothing until the commit', () => {
    const reader = new RingReader(object.map('events'));
    expect(reader.dataBytes).toBe(4096);
    expect(reader.drain(target)).toEqual({ bytes: 0, records: 0, position: 0n, more: false });
    write('s', 3);
    write('l');
    const drained = reader.drain(target);
    expect(drained).toEqual({ bytes: 3 * 16 + 112, records: 4, position: 3n * 16n + 112n, more: false });
    expect(sequences(target, drained.bytes)).toEqual([0n, 1n, 2n, 3n]);
    expect([reader.consumerPosition, reader.producerPosition]).toEqual([0n, 160n]);

    // Drained again, there is nothing new; the next reader meets what was not committed.
    expect(reader.drain(target)).toMatchObject({ records: 0, position: 160n });
    reader.commit(48n);
    reader.close();
    const next = new RingReader(object.map('events'));
    const rest = next.drain(target);
    expect(sequences(target, rest.bytes)).toEqual([3n]);
    next.commit(rest.position);
    next.close();
    const last = new RingReader(object.map('events'));
    expect(last.drain(target)).toMatchObject({ records: 0, position: 160n });
    last.close();
  });

  it('skips discarded records and moves past them', () => {
    const reader = new RingReader(object.map('events'));
    write('d', 2);
    write('s');
    write('d');
    const drained = reader.drain(target);
    expect([drained.records, drained.position]).toEqual([1, 64n]);
    expect(sequences(target, drained.bytes)).toEqual([0n]);
    reader.close();
  });

  it('stops where the target is full and goes on there', () => {
    const reader = new RingReader(object.map('events'));
    write('s', 5);
    const small = Buffer.alloc(2 * 16 + 8);
    expect(reader.drain(small)).toEqual({ bytes: 32, records: 2, position: 32n, more: true });
    expect(sequences(small, 32)).toEqual([0n, 1n]);
    expect(reader.drain(small)).toEqual({ bytes: 32, records: 2, position: 64n, more: true });
    expect(reader.drain(small)).toEqual({ bytes: 16, records: 1, position: 80n, more: false });
    write('s');
    expect(() => reader.drain(Buffer.alloc(8))).toThrow('EMSGSIZE');
    expect(reader.drain(small).records).toBe(1);
    reader.close();
  });

  it('keeps order and content over many wraps of the ring', () => {
    const reader = new RingReader(object.map('events'));
    const seen: bigint[] = [];
    let position = 0n;
    for (let round = 0; round < 40; round++) {
      write('s', 50 + (round % 7));
      write('l', 5);
      const drained = reader.drain(target);
      seen.push(...sequences(target, drained.bytes));
      position = drained.position;
      reader.commit(position);
    }
    expect(position).toBeGreaterThan(10n * 4096n);
    expect(seen).toEqual(Array.from(seen, (_, index) => BigInt(index)));
    expect(reader.consumerPosition).toBe(reader.producerPosition);
    reader.close();
  });

  it('leaves a full ring to the program, which counts what it drops, and recovers by a commit', () => {
    const reader = new RingReader(object.map('events'));
    write('s', 300);
    const dropped = object.global<bigint>('dropped').get();
    const drained = reader.drain(target);
    expect(BigInt(drained.records) + dropped).toBe(300n);
    expect(dropped).toBeGreaterThan(0n);
    reader.commit(drained.position);
    write('s');
    expect(reader.drain(target).records).toBe(1);
    reader.close();
  });

  it('goes on at the commit when the pinned map is opened by a successor', () => {
    const folder = makePinFolder();
    try {
      object.map('events').pin(join(folder, 'events'));
      const reader = new RingReader(object.map('events'));
      write('s', 4);
      reader.drain(target);
      reader.commit(32n);
      reader.close();
      object.close();

      const map = BpfMap.openPinned(join(folder, 'events'));
      const successor = new RingReader(map);
      map.close();
      expect(successor.consumerPosition).toBe(32n);
      expect(sequences(target, successor.drain(target).bytes)).toEqual([2n, 3n]);
      successor.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('refuses commits of what was not drained, other maps, and use after close', () => {
    const reader = new RingReader(object.map('events'));
    write('s', 2);
    expect(() => reader.commit(16n)).toThrow('ERANGE');
    reader.drain(target);
    expect(() => reader.commit(64n)).toThrow('ERANGE');
    expect(() => reader.commit(4n)).toThrow('ERANGE');
    reader.commit(32n);
    expect(() => reader.commit(16n)).toThrow('ERANGE');
    expect(() => reader.commit(32 as unknown as bigint)).toThrow('BigInt'.toLowerCase());
    expect(() => reader.drain([] as unknown as Buffer)).toThrow('must be a Buffer');
    expect(() => new RingReader(object.map('.bss'))).toThrow('not a ring buffer');
    expect(() => new RingReader({ fd: 3 } as unknown as BpfMap)).toThrow('expected a BpfMap');
    reader.close();
    reader.close();
    expect(() => reader.drain(target)).toThrow(expect.objectContaining({ code: 'BPF_CLOSED' }));
    expect(() => reader.consumerPosition).toThrow(expect.objectContaining({ code: 'BPF_CLOSED' }));
  });
});
