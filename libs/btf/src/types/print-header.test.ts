import { describe, expect, it } from '@jest/globals';
import { checkSyntax, compiledLayouts, layoutsOf } from '../../test/compare-layouts.js';
import { compileBpf } from '../../test/compile-bpf.js';
import { HAS_OWN_BTF, kernelBtf } from '../../test/kernels.js';
import { readObject } from '../object/object.js';
import { parseBtf } from './parse.js';

const btfOf = (source: string) => readObject(compileBpf(source)).btf;
/** clang lays out 64-bit pointers for BPF, so only kernels with those can be compared. */
const WIDE_KERNELS = [HAS_OWN_BTF ? 'host' : 'arm64-6.12'];

describe('printHeader', () => {
  it.each(WIDE_KERNELS)('makes clang lay out every struct of %s as its kernel has it', (kernel) => {
    const btf = parseBtf(kernelBtf(kernel));
    const expected = layoutsOf(btf);
    const compiled = compiledLayouts(btf.printHeader({ preserveAccessIndex: true }));
    const wrong = [...expected].flatMap(([name, layouts]) =>
      [...layouts].filter((layout) => compiled.get(name)?.has(layout) !== true).map((layout) => ({ name, layout })),
    );
    expect(wrong).toEqual([]);
    expect(expected.size).toBeGreaterThan(5000);
  });

  it('prints a kernel of 32 bits too', () => {
    const header = parseBtf(kernelBtf('armhf-6.1')).printHeader();
    expect(header).toContain('struct task_struct {');
    expect(() => checkSyntax(header)).not.toThrow();
  });

  it('finds what explains a layout: packed, aligned, unnamed bitfields', () => {
    const source = `
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
struct padded padded; struct tail tail; struct odd odd; struct with with; struct big big;`;
    const btf = btfOf(source);
    const compiled = compiledLayouts(btf.printHeader());
    for (const [name, layout] of layoutsOf(btf)) expect([name, compiled.get(name)]).toEqual([name, layout]);
  });

  it('declares before it defines, and defines before it contains', () => {
    const header = btfOf(`
struct late; typedef struct late late_t; struct early { late_t *later; struct unknown *never; enum { ON, OFF } state; };
struct late { struct early e; int (*call)(struct early *, late_t *); }; struct late late;`).printHeader();
    expect(header.indexOf('struct late;')).toBeLessThan(header.indexOf('typedef struct late late_t;'));
    expect(header.indexOf('typedef struct late late_t;')).toBeLessThan(header.indexOf('struct early {'));
    expect(header.indexOf('struct early {')).toBeLessThan(header.indexOf('struct late {'));
    expect(header).toContain('struct unknown;');
    expect(compiledLayouts(header).get('struct late')).toBeDefined();
  });

  it('is a header that its own kind of object compiles to again', () => {
    const once = btfOf('struct a { int x : 3; struct a *next; union { int u; long v; }; }; struct a a;').printHeader();
    expect(btfOf(`${once}\nstruct a a;`).printHeader()).toBe(once);
  });
});
