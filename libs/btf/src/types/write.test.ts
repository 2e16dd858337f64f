import { describe, expect, it } from '@jest/globals';
import { compileBpf } from '../../test/compile-bpf.js';
import { FOREIGN_KERNELS, kernelBtf } from '../../test/kernels.js';
import { readObject } from '../object/object.js';
import { parseBtf } from './parse.js';
import { writeBtf } from './write.js';

describe('writeBtf', () => {
  it.each(FOREIGN_KERNELS)('writes all types of %s so that they are read back the same', (kernel) => {
    const types = [...parseBtf(kernelBtf(kernel)).types()];
    let compared = 0;
    for (const type of parseBtf(writeBtf(types)).types()) {
      const before = types[type.id - 1];
      const text = (value: unknown) =>
        JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part));
      if (text(type) !== text(before)) expect(type).toEqual(before);
      compared += 1;
    }
    expect(compared).toBe(types.length);
  });

  it.each(['bpfel', 'bpfeb'] as const)('writes what a compiler knows, in either byte order (%s)', (target) => {
    const source = `
struct s { unsigned a : 3; int b : 9; struct s *next; const volatile char name[4]; double d; _Bool flag; };
union u { int x; struct fwd *f; }; enum e { LOW = -1, HIGH = 5 }; typedef int (*call)(struct s *, ...);
int extra __attribute__((section(".data.own"))) = 3; struct s s; union u u; enum e e; call c;
__attribute__((noinline)) int f(int a) { return a; } SEC("xdp") int p(void *x) { return f(extra); }`;
    const btf = readObject(compileBpf(source, target)).btf;
    const types = [...btf.types()];
    const again = parseBtf(writeBtf(types, btf.littleEndian));
    expect(again.littleEndian).toBe(target === 'bpfel');
    expect([...again.types()]).toEqual(types);
  });

  it('refuses what cannot be written', () => {
    expect(() => writeBtf([{ kind: 'void', id: 0, name: '' }])).toThrow(
      expect.objectContaining({ code: 'BTF_INVALID' }),
    );
    const member = { name: 'a', typeId: 1, offsetBits: 1 << 25, bitfieldBits: 3 };
    const large = { kind: 'struct', id: 0, name: 's', bytes: 1 << 23, members: [member] } as const;
    expect(() => writeBtf([large])).toThrow(expect.objectContaining({ code: 'BTF_LIMIT' }));
  });
});
