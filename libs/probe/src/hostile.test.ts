import { describe, expect, it } from '@jest/globals';
import { BtfError, CopyWriter, parseElf, readObject } from '@bpfleet/btf';
import type { BpfObjectFile } from '@bpfleet/btf';
import { randomFrom } from '../../btf/test/compile-bpf.js';
import { SAMPLE_MANIFEST, sampleBytes } from '../test/sample-probe.js';
import { eventDecoder } from './events/decoder.js';
import { checkManifest } from './manifest/check.js';
import { ManifestError } from './manifest/error.js';
import { parseManifest } from './manifest/parse.js';
import { metricReader } from './metrics/reader.js';
import { mapMemoryBytes } from './plan/memory.js';

const manifest = parseManifest(SAMPLE_MANIFEST);
const pristine = sampleBytes();
const btf = parseElf(pristine).section('.BTF')?.data ?? new Uint8Array();
const btfRange = { start: btf.byteOffset - pristine.byteOffset, length: btf.length };

function readDamaged(bytes: Uint8Array): BpfObjectFile | undefined {
  try {
    return readObject(bytes);
  } catch (error) {
    if (error instanceof BtfError) return undefined;
    throw error;
  }
}

/** Whatever an object says, a manifest either fits it or has issues; and what fits can be used. */
function exercise(object: BpfObjectFile): 'fits' | 'issues' {
  const issues = checkManifest(manifest, object);
  for (const { bytes } of mapMemoryBytes(object, { cpus: 4, pageBytes: 4096 })) expect(bytes).toBeGreaterThanOrEqual(0);
  if (issues.length > 0) return 'issues';
  const record = new DataView(new ArrayBuffer(4096));
  for (const { name } of manifest.events) {
    const decoder = eventDecoder(manifest, object, name, { arch: 'x86_64' });
    decoder.matches(record, 0, 4096);
    if (decoder.bytesMin > 4096) continue;
    decoder.toObject(record, 0, 4096);
    decoder.encode(record, 0, 4096, new CopyWriter());
  }
  for (const { name } of manifest.metrics) metricReader(manifest, object, name, { arch: 'x86_64', cpus: 2 });
  return 'fits';
}

describe('a manifest and a damaged object', () => {
  it.each([11, 12, 13])('never meet with anything but issues (seed %d)', (seed) => {
    const random = randomFrom(seed);
    const seen = new Set<string>();
    for (let round = 0; round < 250; round += 1) {
      const damaged = pristine.slice();
      for (let flips = 1 + Math.floor(random() * 2); flips > 0; flips -= 1) {
        const at = btfRange.start + Math.floor(random() * btfRange.length);
        damaged[at] = Math.floor(random() * 256);
      }
      const object = readDamaged(damaged);
      seen.add(object === undefined ? 'refused' : exercise(object));
    }
    expect([...seen].sort()).toEqual(['fits', 'issues', 'refused']);
  });
});

describe('random text as a manifest', () => {
  it('is refused with a ManifestError, or is a manifest', () => {
    const random = randomFrom(21);
    for (let round = 0; round < 200; round += 1) {
      const at = Math.floor(random() * SAMPLE_MANIFEST.length);
      const noise = String.fromCharCode(...Array.from({ length: 3 }, () => 32 + Math.floor(random() * 95)));
      const text = SAMPLE_MANIFEST.slice(0, at) + noise + SAMPLE_MANIFEST.slice(at + Math.floor(random() * 6));
      try {
        parseManifest(text);
      } catch (error) {
        expect(error).toBeInstanceOf(ManifestError);
        expect((error as ManifestError).issues.length).toBeGreaterThan(0);
      }
    }
  });
});
