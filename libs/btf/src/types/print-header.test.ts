import { expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { assertLayoutsForBpf, compiledLayouts, layoutsOfBytes } from '../../test/compile-header.js';
import { compileBpf } from '../../test/compile-bpf.js';
import { FOREIGN_KERNELS, HAS_OWN_BTF, kernelBtf } from '../../test/kernels.js';
import type { ReadLayout } from '../../test/read-layouts.js';
import { kernelName, layoutText } from '../../test/read-layouts.js';
import { readObject } from '../object/object.js';
import { parseBtf } from './parse.js';

const btfOf = (source: string) => readObject(compileBpf(source)).btf;
const KERNELS = [...(HAS_OWN_BTF ? ['host'] : []), ...FOREIGN_KERNELS];

/** How often each layout is there. */
function counted(layouts: readonly ReadLayout[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const layout of layouts) {
    const key = `${kernelName(layout.name)} ${layoutText(layout)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

function difference(a: Map<string, number>, b: Map<string, number>): string[] {
  return [...a].flatMap(([key, count]) => (b.get(key) === count ? [] : [`${count} × ${key}`]));
}

describeWithKernel('printHeader, by what clang makes of it and bpftool reads', ['clang', 'bpftool', 'pahole'], () => {
  it.each(KERNELS)('has every size, offset and bitfield of %s', (kernel) => {
    const bytes = kernelBtf(kernel);
    const btf = parseBtf(bytes);
    const header = btf.printHeader();
    const kernelLayouts = layoutsOfBytes(bytes, btf.pointerBytes);
    const compiled = compiledLayouts(header, btf.pointerBytes);
    const [expected, seen] = [counted(kernelLayouts), counted(compiled)];
    expect({ missing: difference(expected, seen), invented: difference(seen, expected) }).toEqual({
      missing: [],
      invented: [],
    });
    expect(expected.size).toBeGreaterThan(5000);
    if (btf.pointerBytes === 8) {
      expect(() =>
        assertLayoutsForBpf(btf.printHeader({ preserveAccessIndex: true }), compiled, kernelLayouts),
      ).not.toThrow();
    }
  });

  it('finds what explains a layout: packed, aligned, unnamed bitfields', () => {
    const object = compileBpf(`
struct packed { char a; int b; short c; } __attribute__((packed));
struct wide { char a; long b __attribute__((aligned(64))); };
struct bits { unsigned a : 3; unsigned : 7; unsigned b : 9; unsigned : 0; unsigned c : 1; __u64 d : 40; short e : 5; };
struct crossing { unsigned a : 30; unsigned b : 10; } __attribute__((packed));
struct inner { char c; struct packed p; } ; union u { char a[5]; short b; } __attribute__((aligned(16)));
struct padded { char a; } __attribute__((aligned(32))); struct tail { int n; char data[]; } __attribute__((aligned(16)));
struct odd { struct packed p[3]; __u64 x __attribute__((packed)); union u u; };
enum small { A, B } __attribute__((packed)); struct with { enum small s; _Bool b; char huge[4000]; };
struct big { char a; char b __attribute__((aligned(4096))); };
struct packed packed; struct wide wide; struct bits bits; struct crossing crossing; struct inner inner; union u u;
struct padded padded; struct tail tail; struct odd odd; struct with with; struct big big;`);
    const header = readObject(object).btf.printHeader();
    const written = layoutsOfBytes(object, 8);
    const compiled = compiledLayouts(header, 8);
    expect([...counted(compiled).keys()].toSorted()).toEqual([...counted(written).keys()].toSorted());
    expect(() => assertLayoutsForBpf(header, compiled, written)).not.toThrow();
  });
});

describeWithKernel('printHeader', ['clang'], () => {
  it('declares before it defines, and defines before it contains', () => {
    const header = btfOf(`
struct late; typedef struct late late_t; struct early { late_t *later; struct unknown *never; enum { ON, OFF } state; };
struct late { struct early e; int (*call)(struct early *, late_t *); }; struct late late;`).printHeader();
    expect(header.indexOf('struct late;')).toBeLessThan(header.indexOf('typedef struct late late_t;'));
    expect(header.indexOf('typedef struct late late_t;')).toBeLessThan(header.indexOf('struct early {'));
    expect(header.indexOf('struct early {')).toBeLessThan(header.indexOf('struct late {'));
    expect(header).toContain('struct unknown;');
    expect(() => compileBpf(header)).not.toThrow();
  });

  it('is a header that its own kind of object compiles to again', () => {
    const once = btfOf('struct a { int x : 3; struct a *next; union { int u; long v; }; }; struct a a;').printHeader();
    expect(btfOf(`${once}\nstruct a a;`).printHeader()).toBe(once);
  });
});
