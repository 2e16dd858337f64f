import { describe, expect, it } from '@jest/globals';
import { VM_TARGETS, partsOf, readCatalogue } from './catalogue.js';

describe('the kernel catalogue', () => {
  it('has the targets that the type names', () => {
    expect(Object.keys(readCatalogue().targets).sort()).toEqual([...VM_TARGETS]);
  });

  it.each(VM_TARGETS)('pins all that %s is made of by its digest', (target) => {
    const parts = partsOf(target);
    for (const pin of [...parts.kernel, ...parts.packages]) expect(pin.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(parts.node.pin.integrity).toMatch(/^sha512-/);
    expect(parts.packages.map((one) => one.package)).toEqual(expect.arrayContaining(['libc6', 'busybox', 'iproute2']));
  });
});
