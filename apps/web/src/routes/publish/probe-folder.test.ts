import { describe, expect, it } from '@jest/globals';
import { readProbeFolder } from './probe-folder.js';

const file = (name: string, text = 'x') => ({ name, bytes: new TextEncoder().encode(text) });

describe('readProbeFolder', () => {
  it('sends manifest, sources and headers, and names what it leaves out', () => {
    const folder = readProbeFolder([
      file('README.md'),
      file('b.bpf.c', 'int b;'),
      file('probe.yaml', 'name: b'),
      file('b.h'),
    ]);
    expect(folder.request).toEqual({
      manifest: 'name: b',
      sources: [
        { name: 'b.bpf.c', text: 'int b;' },
        { name: 'b.h', text: 'x' },
      ],
      objects: [],
    });
    expect(folder.ignored).toEqual(['README.md']);
    expect(folder.problems).toEqual([]);
  });

  it('sends objects with their architecture only where there is no source', () => {
    const objects = [file('a.arm64.bpf.o', 'A'), file('a.bpf.o', 'B')];
    expect(readProbeFolder([file('probe.yaml'), ...objects]).request?.objects).toEqual([
      { arch: 'arm64', base64: 'QQ==' },
      { arch: 'any', base64: 'Qg==' },
    ]);
    expect(readProbeFolder([file('probe.yaml'), file('a.bpf.c'), ...objects]).request?.objects).toEqual([]);
  });

  it('says what is missing, empty or too large', () => {
    expect(readProbeFolder([file('a.bpf.c')]).problems).toEqual([expect.stringContaining('probe.yaml is missing')]);
    expect(readProbeFolder([file('probe.yaml')]).problems).toEqual([expect.stringContaining('No .bpf.c source')]);
    expect(readProbeFolder([file('probe.yaml'), file('a.bpf.c', '')]).problems).toEqual(['a.bpf.c is empty.']);
    const large = { name: 'a.bpf.c', bytes: new Uint8Array(513 * 1024) };
    expect(readProbeFolder([file('probe.yaml'), large]).request).toBeNull();
  });

  it('carries a large object whole', () => {
    const bytes = new Uint8Array(300_000).map((_, i) => i % 251);
    const [object] = readProbeFolder([file('probe.yaml'), { name: 'a.bpf.o', bytes }]).request?.objects ?? [];
    expect(Buffer.from(object?.base64 ?? '', 'base64').equals(Buffer.from(bytes))).toBe(true);
  });
});
