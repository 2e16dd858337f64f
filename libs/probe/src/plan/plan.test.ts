import { describe, expect, it } from '@jest/globals';
import { SAMPLE_MANIFEST, sampleObject } from '../../test/sample-probe.js';
import { parseManifest } from '../manifest/parse.js';
import { mapMemoryBytes } from './memory.js';
import { telemetryPlan } from './telemetry.js';

const object = sampleObject();

describe('telemetryPlan', () => {
  it('lists what an agent drains, each map once', () => {
    const plan = telemetryPlan(parseManifest(SAMPLE_MANIFEST), object);
    expect(plan.rings).toEqual([{ map: 'events', events: ['connect', 'exit'] }]);
    expect(plan.snapshots.map((s) => [s.map, s.perCpu, s.keyBytes, s.valueBytes])).toEqual([
      ['hists', true, 24, 56],
      ['traffic', true, 4, 16],
      ['calls', false, 4, 4],
      ['gauge', false, 4, 8],
      ['counts', false, 20, 8],
    ]);
    expect(plan.stacks).toEqual([{ map: 'stacks', valueBytes: 1016, maxEntries: 64 }]);
    expect(plan.drops).toBe('bpfleet_drops');
  });

  it('refuses a manifest that does not fit', () => {
    const text = SAMPLE_MANIFEST.replace('map: gauge', 'map: gage');
    expect(() => telemetryPlan(parseManifest(text), object)).toThrow(/no map `gage`/);
  });
});

describe('mapMemoryBytes', () => {
  const bytesOf = (cpus: number, pageBytes: number) =>
    new Map(mapMemoryBytes(object, { cpus, pageBytes }).map(({ map, bytes }) => [map, bytes]));

  it('counts every map and data section', () => {
    expect([...bytesOf(2, 4096).keys()]).toEqual([...object.maps.map((m) => m.name), '.rodata', '.bss']);
  });

  it('grows with CPUs for per-CPU maps, and with pages for rings', () => {
    expect(bytesOf(64, 4096).get('hists')).toBeGreaterThan(64 * 64 * 56);
    expect(bytesOf(64, 4096).get('calls')).toBe(bytesOf(1, 4096).get('calls'));
    expect(bytesOf(2, 4096).get('events')).toBe(65536 + 3 * 4096 + 4096);
    expect(bytesOf(2, 65536).get('events')).toBe(65536 + 3 * 65536 + 65536);
  });

  it('counts a ring as libbpf makes it: a power of two of whole pages', () => {
    const ring = object.maps.find(({ typeName }) => typeName === 'ringbuf');
    if (!ring) throw new Error('the sample has a ring');
    const dataPages = (maxEntries: number, pageBytes: number): number => {
      const [only] = mapMemoryBytes(
        { ...object, maps: [{ ...ring, maxEntries }], dataSections: [] },
        { cpus: 1, pageBytes },
      );
      // Without its three pages of bookkeeping and the list of all.
      return (only?.bytes ?? 0) / pageBytes - 4;
    };
    expect(dataPages(12_288, 4_096)).toBe(4);
    expect(dataPages(4_096, 16_384)).toBe(1);
    expect(dataPages(49_152, 16_384)).toBe(4);
    expect(dataPages(4_096, 65_536)).toBe(1);
    expect(dataPages(262_144, 65_536)).toBe(4);
  });
});
