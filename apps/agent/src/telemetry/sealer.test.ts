import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeBatchBody, decodeBatchHeader, ringRecords, type BatchHeader } from '@bpfleet/wire';
import { Spool } from '../store/spool.js';
import { spoolLimits } from '../store/spool-limits.js';
import { Sealer } from './sealer.js';

let folder: string;
let spool: Spool;
let sealer: Sealer;
let oversized: number[];

const time = { bootId: 'b', boottimeNs: '1', monotonicNs: '1', realtimeNs: '1', trusted: false };
const from = { run: 'raaaaaaaa', release: 'a'.repeat(64), drops: { kernel: null, rate: 0, spool: 0 } };
const mark = { boot: 'b', map: 1, from: '0', bytes: 1 };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-sealer-'));
  spool = new Spool(
    folder,
    spoolLimits,
    () => 0,
    () => undefined,
  );
  spool.begin(4);
  oversized = [];
  sealer = new Sealer(
    spool,
    () => time,
    (_run, records) => oversized.push(records),
  );
});
afterEach(() => {
  spool.close();
  rmSync(folder, { recursive: true, force: true });
});

function sealed(): { header: BatchHeader; sections: Uint8Array[]; bytes: number }[] {
  sealer.flush();
  return spool.all().map((held) => {
    const payload = spool.payload(held);
    const { header, body } = decodeBatchHeader(payload);
    return { header, sections: decodeBatchBody(header, body), bytes: payload.length };
  });
}

/** As `drain` copies records. */
function drained(records: Buffer[]): Buffer {
  return Buffer.concat(
    records.map((record) => {
      const out = Buffer.alloc((4 + record.length + 7) & ~7);
      out.writeUInt32LE(record.length, 0);
      record.copy(out, 4);
      return out;
    }),
  );
}

describe('sealer', () => {
  it('numbers batches from 0 in each stream, without gaps', () => {
    sealer.ring(from, 'events', drained([Buffer.alloc(8)]), mark);
    sealer.names(from, 'stacks', [{ kind: 'ksym', id: '1', name: 'schedule' }]);
    sealer.ring(from, 'events', drained([Buffer.alloc(8)]), mark);
    sealer.flush();
    sealer.ring(from, 'events', drained([Buffer.alloc(8)]), mark);
    expect(sealed().map(({ header }) => [header.stream, header.epoch, header.number])).toEqual([
      ['events', 4, 0],
      ['names', 4, 0],
      ['events', 4, 1],
      ['events', 4, 2],
    ]);
  });

  it('halves what is too large for a packet, and keeps every record in order', () => {
    const records = Array.from({ length: 3_000 }, () => randomBytes(80));
    sealer.ring(from, 'events', drained(records), mark);
    const batches = sealed();
    expect(batches.length).toBeGreaterThan(1);
    expect(Math.max(...batches.map(({ bytes }) => bytes))).toBeLessThanOrEqual(90 * 1024);
    const back = batches.flatMap(({ header, sections }) => {
      const { bytes, offsets, lengths } = ringRecords(header, sections);
      return [...offsets].map((at, index) => Buffer.from(bytes.subarray(at, at + (lengths[index] as number))));
    });
    expect(Buffer.concat(back).equals(Buffer.concat(records))).toBe(true);
    // The mark stands for the whole drain, so it stands on the last batch.
    expect(spool.all().map(({ meta }) => meta.ring !== undefined)).toEqual(
      batches.map((_, i) => i === batches.length - 1),
    );
  });

  it('gives up one record that no packet can hold, and says so', () => {
    sealer.ring(from, 'events', drained([randomBytes(120 * 1024), Buffer.alloc(8)]), mark);
    expect(oversized).toEqual([1]);
    expect(sealed().map(({ header }) => header.count)).toEqual([1]);
  });

  it('halves maps, values beside their keys, and a part is no keyframe', () => {
    const count = 4_000;
    const keys = Buffer.alloc(count * 4);
    for (let index = 0; index < count; index++) keys.writeUInt32LE(index, index * 4);
    const values = randomBytes(count * 64);
    const change = {
      map: 'm',
      keyBytes: 4,
      valueBytes: 64,
      cpus: 8,
      keyframe: true,
      keys,
      values,
      gone: Buffer.alloc(8),
    };
    sealer.map(from, change);
    const batches = sealed();
    expect(batches.length).toBeGreaterThan(1);
    expect(batches.every(({ header }) => header.keyframe === false && header.cpus === 8)).toBe(true);
    expect(Buffer.concat(batches.map(({ sections }) => sections[0] as Uint8Array)).equals(keys)).toBe(true);
    expect(Buffer.concat(batches.map(({ sections }) => sections[1] as Uint8Array)).equals(values)).toBe(true);
    expect(Buffer.concat(batches.map(({ sections }) => sections[2] as Uint8Array))).toHaveLength(8);
  });

  it('halves stacks at an entry, with the addresses that belong to it', () => {
    const count = 400;
    const entries = Buffer.alloc(count * 8);
    for (let index = 0; index < count; index++) {
      entries.writeUInt32LE(index, index * 8);
      entries.writeUInt32LE(100, index * 8 + 4);
    }
    const addresses = randomBytes(count * 800);
    sealer.stacks(from, 'stacks', entries, addresses);
    const batches = sealed();
    expect(batches.length).toBeGreaterThan(1);
    for (const { header, sections } of batches) expect(sections[1]).toHaveLength(header.count * 800);
    expect(Buffer.concat(batches.map(({ sections }) => sections[1] as Uint8Array)).equals(addresses)).toBe(true);
  });
});
