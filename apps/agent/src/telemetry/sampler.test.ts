import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeBatchBody, decodeBatchHeader, ringRecords } from '@bpfleet/wire';
import { noCounters } from '../core/run-record.js';
import { Spool } from '../store/spool.js';
import { spoolLimits } from '../store/spool-limits.js';
import type { SnapshotMap, SymbolTable } from '../kernel/port.js';
import { FakeKernel, FakeRing } from '../testing/fake-kernel.js';
import { KernelSymbols } from './kernel-symbols.js';
import { RunTelemetry } from './run-telemetry.js';
import { Sampler } from './sampler.js';

let folder: string;
let spool: Spool;
let lines: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-sampler-'));
  lines = [];
});
afterEach(() => {
  spool.close();
  rmSync(folder, { recursive: true, force: true });
});

const records = (from: number, count: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => {
    const record = Buffer.alloc(8);
    record.writeUInt32LE(from + index);
    return record;
  });

const noSymbols = () => Promise.resolve({ nameOf: () => undefined });

function openSampler(
  ring: FakeRing,
  epoch: number,
  eventsPerSecond = 1e6,
  profile?: { readonly map: SnapshotMap; readonly read: () => Promise<SymbolTable> },
  kernelBits: 32 | 64 = 64,
): { sampler: Sampler; telemetry: RunTelemetry } {
  spool = new Spool(
    folder,
    spoolLimits,
    () => 0,
    () => undefined,
  );
  spool.begin(epoch);
  const run = new FakeKernel().load({ run: 'raaaaaaaa' });
  run.ring = () => ring;
  if (profile) run.map = () => profile.map;
  const telemetry = new RunTelemetry({
    run: 'raaaaaaaa',
    release: 'a'.repeat(64),
    plan: {
      rings: [{ map: 'events', events: ['e'] }],
      snapshots: [],
      stacks: profile ? [{ map: 'stacks', valueBytes: 8, maxEntries: 64 }] : [],
    },
    kernel: run,
    earlier: noCounters,
    eventsPerSecond,
    nowSeconds: 0,
    wantsInterfaces: false,
  });
  const sampler = new Sampler({
    spool,
    symbols: new KernelSymbols({ bits: 64, read: profile?.read ?? noSymbols, monotonicMs: () => 0 }),
    bootId: 'boot',
    kernelBits,
    time: () => ({ bootId: 'boot', boottimeNs: '1', monotonicNs: '1', realtimeNs: '1', trusted: false }),
    monotonicMs: () => 0,
    onStored: () => undefined,
    log: (level, event) => lines.push(`${level} ${event}`),
  });
  sampler.add(telemetry);
  return { sampler, telemetry };
}

/** A map of stacks with one more stack at each reading. */
function growingStacks(): SnapshotMap {
  let count = 0;
  return {
    ...{ type: 'stack_trace', perCpu: false, keyBytes: 4, valueBytes: 8, valueBufferBytes: 8 },
    readAll: () => {
      count += 1;
      const [keys, values] = [Buffer.alloc(count * 4), Buffer.alloc(count * 8)];
      for (let id = 0; id < count; id++) {
        keys.writeUInt32LE(id, id * 4);
        values.writeBigUInt64LE(KERNEL_START + BigInt(id), id * 8);
      }
      return { count, keys, values };
    },
  };
}
const KERNEL_START = 0xffff_8000_8000_0000n;

const streams = (): string[] => spool.all().map((held) => decodeBatchHeader(spool.payload(held)).header.stream);

function stored(): number[] {
  return spool.all().flatMap((held) => {
    const { header, body } = decodeBatchHeader(spool.payload(held));
    const { bytes, offsets } = ringRecords(header, decodeBatchBody(header, body));
    return [...offsets].map((at) => Buffer.from(bytes).readUInt32LE(at));
  });
}

const numbers = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index);

describe('sampler', () => {
  it('commits a ring only after what it drained is safe', async () => {
    const ring = new FakeRing(records(0, 10));
    const { sampler } = openSampler(ring, 1);
    const sync = spool.sync.bind(spool);
    let committedAtSync = -1;
    spool.sync = async () => {
      committedAtSync = ring.commits.length;
      await sync();
    };
    await sampler.drain();
    expect(committedAtSync).toBe(0);
    expect(ring.consumerPosition).toBe(160n);
    expect(stored()).toEqual(numbers(0, 10));
  });

  it('keeps the ring full while the disk takes nothing, and loses nothing when it does again', async () => {
    const ring = new FakeRing(records(0, 5));
    const { sampler } = openSampler(ring, 1);
    const append = spool.append.bind(spool);
    spool.append = () => {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    };
    await sampler.drain();
    expect(ring.commits).toEqual([]);
    spool.append = append;
    ring.records.push(...records(5, 5));
    await sampler.drain();
    expect(stored()).toEqual(numbers(0, 10));
    expect(ring.consumerPosition).toBe(160n);
  });

  it('says once that the disk takes nothing and once that it does again, and drains nothing in between', async () => {
    const ring = new FakeRing(records(0, 5));
    const { sampler } = openSampler(ring, 1);
    const append = spool.append.bind(spool);
    spool.append = () => {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    };
    await sampler.drain();
    ring.records.push(...records(5, 5));
    let drains = 0;
    const drain = ring.drain.bind(ring);
    ring.drain = (target) => {
      drains += 1;
      return drain(target);
    };
    for (let turn = 0; turn < 100; turn++) {
      await sampler.drain();
      await sampler.snapshot();
    }
    expect([drains, ring.commits, lines]).toEqual([0, [], ['error spool.unwritable']]);
    spool.append = append;
    await sampler.drain();
    expect(stored()).toEqual(numbers(0, 10));
    expect(lines).toEqual(['error spool.unwritable', 'info spool.writable']);
  });

  it('keeps neither rings nor later pictures waiting for names, and sends the names when they are there', async () => {
    const ring = new FakeRing(records(0, 5));
    let give: (table: SymbolTable) => void = () => undefined;
    const read = (): Promise<SymbolTable> => new Promise((resolve) => (give = resolve));
    const { sampler } = openSampler(ring, 1, 1e6, { map: growingStacks(), read });
    const pictures = [sampler.snapshot(), sampler.snapshot()];
    await sampler.drain();
    expect(streams()).toEqual(['maps', 'maps', 'events']);
    give({ nameOf: (address) => `f${address - KERNEL_START}` });
    await Promise.all(pictures);
    expect(streams()).toEqual(['maps', 'maps', 'events', 'names', 'names']);
    // The last stacks of a run have their names too.
    await sampler.remove(['raaaaaaaa']);
    await sampler.close(60_000);
    expect(streams().slice(5)).toEqual(['maps', 'names']);
  });

  it('lets a run go without its names, gives them a last moment, and writes nothing after that', async () => {
    let give: (table: SymbolTable) => void = () => undefined;
    const read = (): Promise<SymbolTable> => new Promise((resolve) => (give = resolve));
    const { sampler } = openSampler(new FakeRing(records(0, 5)), 1, 1e6, { map: growingStacks(), read });
    await sampler.remove(['raaaaaaaa']);
    expect(streams()).toEqual(['events', 'maps']);
    await sampler.close(0);
    give({ nameOf: () => 'late' });
    await sampler.close(60_000);
    expect(streams()).toEqual(['events', 'maps']);
  });

  it('goes on without names where the symbols cannot be read, and says so once', async () => {
    const read = () => Promise.reject(new Error('no such file'));
    const { sampler } = openSampler(new FakeRing([]), 1, 1e6, { map: growingStacks(), read });
    await sampler.snapshot();
    await sampler.snapshot();
    expect([streams(), lines]).toEqual([['maps', 'maps'], ['warn telemetry.names']]);
  });

  it('commits nothing whose fsync has failed, not even with the next turn', async () => {
    const ring = new FakeRing(records(0, 5));
    const { sampler } = openSampler(ring, 1);
    const sync = spool.sync.bind(spool);
    spool.sync = () => Promise.reject(Object.assign(new Error('I/O error'), { code: 'EIO' }));
    await sampler.drain();
    await sampler.drain();
    expect(ring.commits).toEqual([]);
    spool.sync = sync;
    const [before] = spool.all();
    await sampler.drain();
    expect([stored(), ring.consumerPosition]).toEqual([numbers(0, 5), 80n]);
    // Not where they were: a sync of that file that succeeds says nothing of what the one before has lost.
    expect(spool.all()[0]?.segment.id).toBeGreaterThan(before?.segment.id ?? Infinity);
  });

  it('does not touch the ring of a run that went while the disk took nothing', async () => {
    const ring = new FakeRing(records(0, 5));
    const { sampler } = openSampler(ring, 1);
    const append = spool.append.bind(spool);
    spool.append = () => {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    };
    await sampler.remove(['raaaaaaaa']);
    spool.append = append;
    ring.commit = () => {
      throw new Error('the ring is closed');
    };
    await sampler.drain();
    expect(stored()).toEqual(numbers(0, 5));
  });

  it('seals nothing before an epoch has begun, and counts what a run takes with it', async () => {
    const ring = new FakeRing(records(0, 5));
    const { sampler, telemetry } = openSampler(ring, 0);
    await sampler.drain();
    await sampler.snapshot();
    expect([ring.commits, spool.batches]).toEqual([[], 0]);
    await sampler.remove(['raaaaaaaa']);
    expect(telemetry.drops.spool).toBe(5);
  });

  it('does not seal twice what a predecessor had saved and not committed', async () => {
    const ring = new FakeRing(records(0, 10));
    const first = openSampler(ring, 1);
    ring.commit = () => undefined;
    await first.sampler.drain();
    spool.close();
    ring.records.push(...records(10, 5));
    const successor = ring.reopened();
    const { sampler } = openSampler(successor, 2);
    await sampler.drain();
    expect(stored()).toEqual(numbers(0, 15));
    expect(successor.consumerPosition).toBe(240n);
  });

  it.each([
    // The kernel's own word has wrapped since: the marks lie behind it, though their numbers are larger.
    { start: 0x10n, from: 0xffff_fff0n, kernelBits: 32 as const, skipped: 0 },
    { start: 0x10n, from: 0x1_0000_0010n, kernelBits: 32 as const, skipped: 1 },
    { start: 0x1_0000_0010n, from: 0x1_0000_0010n, kernelBits: 64 as const, skipped: 1 },
    { start: 0x10n, from: 0x1_0000_0010n, kernelBits: 64 as const, skipped: 0 },
  ])('knows on a $kernelBits-bit kernel at $start which drain at $from was saved', async ({ skipped, ...at }) => {
    const ring = new FakeRing(records(0, 3));
    const { sampler, telemetry } = openSampler(ring, 1, 1e6, undefined, at.kernelBits);
    ring.consumerPosition = at.start;
    spool.ringMarks = () => [{ boot: 'boot', map: 7, from: at.from.toString(), bytes: 16 }];
    sampler.add(telemetry);
    expect(ring.commits).toHaveLength(skipped);
    spool.ringMarks = () => [];
    await sampler.drain();
    expect(stored()).toEqual(numbers(skipped, 3 - skipped));
  });

  it('drains again what a predecessor had not saved', async () => {
    const ring = new FakeRing(records(0, 10));
    ring.drain(Buffer.alloc(64));
    const { sampler } = openSampler(ring.reopened(), 2);
    await sampler.drain();
    expect(stored()).toEqual(numbers(0, 10));
  });

  it('sends what the budget allows, counts the rest, and frees the ring of both', async () => {
    const ring = new FakeRing(records(0, 100));
    const { sampler, telemetry } = openSampler(ring, 1, 10);
    await sampler.drain();
    expect(stored()).toEqual(numbers(0, 10));
    expect(telemetry.drops).toEqual({ kernel: null, rate: 90, spool: 0 });
    expect(ring.consumerPosition).toBe(1_600n);
  });

  it('reads a last time what is there when a run ends, and nothing afterwards', async () => {
    const ring = new FakeRing(records(0, 3));
    const { sampler } = openSampler(ring, 1);
    await sampler.remove(['raaaaaaaa']);
    ring.records.push(...records(3, 3));
    await sampler.drain();
    expect(stored()).toEqual(numbers(0, 3));
  });
});
