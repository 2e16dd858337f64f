import { describe, expect, it } from '@jest/globals';
import { SAMPLE_MANIFEST, sampleObject } from '../../test/sample-probe.js';
import { ParamError } from '../manifest/error.js';
import { parseManifest } from '../manifest/parse.js';
import { globalImages } from './images.js';
import { attachOptions, resolveParams } from './params.js';

const manifest = parseManifest(SAMPLE_MANIFEST);

describe('resolveParams', () => {
  it('takes what is given and defaults for the rest', () => {
    expect(resolveParams(manifest, { min_us: 9, interface: 'eth0' })).toMatchObject({
      min_us: 9,
      interface: 'eth0',
      by_comm: true,
    });
  });

  it.each([
    [{ nothing: 1 }, 'There is no parameter `nothing`; sample has min_us, by_comm'],
    [{ min_us: -1 }, 'must be at least 0'],
    [{ min_us: 2e6 }, 'must not be more than 1000000'],
    [{ min_us: '5' }, 'must be a number'],
    [{ min_us: NaN }, 'must be a number'],
    [{ min_us: 1.5 }, 'must be a whole number'],
    [{ interface: 'a\0b' }, 'without NUL'],
    [{ constructor: 1 }, 'There is no parameter `constructor`'],
  ])('refuses %j', (given, message) => {
    expect(() => resolveParams(manifest, given as Record<string, number>)).toThrow(ParamError);
    expect(() => resolveParams(manifest, given as Record<string, number>)).toThrow(message);
  });
});

describe('attachOptions', () => {
  it('replaces parameters', () => {
    const params = resolveParams(manifest, { interface: 'eth0.100', frequency_hz: 99 });
    expect(attachOptions(manifest, 'count_packets', params)).toEqual({ interface: 'eth0.100', mode: 'generic' });
    expect(attachOptions(manifest, 'on_sample', params)).toEqual({ frequencyHz: 99 });
    const egress = { ...manifest, attach: { shaped: { interface: 'eth1', direction: 'egress' as const } } };
    expect(attachOptions(egress, 'shaped', params)).toEqual({ interface: 'eth1', direction: 'egress' });
    expect(attachOptions(manifest, 'other', params)).toEqual({});
    expect(attachOptions(manifest, 'constructor', params)).toEqual({});
  });

  it.each(['../etc', 'a b', '', 'sixteen-letters-', '..'])('refuses the interface %j', (name) => {
    expect(() => attachOptions(manifest, 'count_packets', { interface: name })).toThrow(
      /is not the name of a network interface/,
    );
  });

  it('refuses a frequency that is none', () => {
    expect(() => attachOptions(manifest, 'on_sample', { frequency_hz: 1.5 })).toThrow(/1 to 10000 Hz/);
  });
});

describe.each(['bpfel', 'bpfeb'] as const)('globalImages of a %s object', (target) => {
  const object = sampleObject(target);
  const read = (images: Map<string, Uint8Array>, name: string): Uint8Array => {
    const global = object.globals.find((g) => g.name === name);
    return (
      images.get('.rodata')?.slice(global?.offset, (global?.offset ?? 0) + (global?.bytes ?? 0)) ?? new Uint8Array()
    );
  };
  const number = (bytes: Uint8Array): bigint => {
    const ordered = target === 'bpfel' ? [...bytes].reverse() : [...bytes];
    return ordered.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  };

  it('writes parameters by their types, and leaves the object as it was', () => {
    const before = object.dataSections.find((s) => s.name === '.rodata')?.image.slice();
    const images = globalImages(object, manifest, resolveParams(manifest, { min_us: 513, uid: -2, prefix: 'é' }));
    expect([...images.keys()]).toEqual(['.rodata']);
    expect(images.get('.rodata')?.length).toBe(before?.length);
    expect(number(read(images, 'min_us'))).toBe(513n);
    expect(number(read(images, 'uid'))).toBe(2n ** 64n - 2n);
    expect(number(read(images, 'by_comm'))).toBe(1n);
    expect(number(read(images, 'policy'))).toBe(0n);
    expect([...read(images, 'prefix')]).toEqual([0xc3, 0xa9, 0, 0, 0, 0, 0, 0]);
    expect(object.dataSections.find((s) => s.name === '.rodata')?.image).toEqual(before);
  });

  it('keeps the initial value of what no parameter names', () => {
    const { policy: _policy, ...params } = manifest.params;
    const images = globalImages(object, { ...manifest, params }, { min_us: 1 });
    expect(number(read(images, 'policy'))).toBe(3n);
  });

  it.each([
    [{ level: 256 }, 'does not fit'],
    [{ min_us: 1.5 }, 'whole number'],
    [{ min_us: 2 ** 32 }, 'does not fit'],
    [{ prefix: '12345678' }, 'shorter than 8 bytes'],
    [{ policy: 'NO' }, 'must be one of ALLOWED, DENIED'],
    [{ by_comm: 1 }, 'true or false'],
  ])('refuses %j', (params, message) => {
    expect(() => globalImages(object, manifest, params as Record<string, number>)).toThrow(message);
  });
});
