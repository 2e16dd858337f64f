import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { FOREIGN_KERNELS, HAS_OWN_BTF, kernelBtf } from '../../test/kernels.js';
import { Libbpf } from '../../test/libbpf.js';
import { parseBtf } from './parse.js';
import type { BtfType } from './types.js';
import { writeBtf } from './write.js';

const DEFINITION = /^((?:struct|union|enum) [A-Za-z_]\w*) \{\n[\s\S]*?^\}[^;\n]*;$/gm;
const KERNELS = [...(HAS_OWN_BTF ? ['host'] : []), ...FOREIGN_KERNELS];

/** Definitions by name, without what is a matter of taste: spaces, filling, attributes of layout, suffixes of numbers. */
function definitions(header: string): Map<string, string> {
  return new Map(
    [...header.matchAll(DEFINITION)].map(([text, name = '']) => [
      name,
      text
        .replaceAll(/^\s*(?:long long|long|int|short|char): \d+;$/gm, '')
        .replaceAll(/^\s*char __filler_.*$/gm, '')
        .replaceAll(/ __attribute__\(\((?:packed|aligned\(\d+\)|mode\(\w+\))\)\)/g, '')
        .replaceAll(/\b(\d+)U?LL\b/g, '$1')
        .replaceAll(/\b_Bool\b/g, 'bool')
        // gcc says with a volatile result that a function does not return, which libbpf leaves out.
        .replaceAll(/\bvolatile (?=\w+ \(\*)/g, '')
        .replaceAll(/\s+/g, ''),
    ]),
  );
}

describeWithKernel('C as libbpf writes it', ['libbpf_source', 'clang'], () => {
  let libbpf: Libbpf;
  beforeAll(() => {
    libbpf = new Libbpf();
  });
  afterAll(() => libbpf.close());

  it.each(KERNELS)('has every definition of %s in the same words', (kernel) => {
    const bytes = kernelBtf(kernel);
    const ours = definitions(parseBtf(bytes).printHeader());
    const theirs = definitions(libbpf.printC(bytes));
    const different = [...theirs].filter(([name, text]) => ours.get(name) !== text);
    expect(different.slice(0, 3).map(([name, text]) => [name, ours.get(name), text])).toEqual([]);
    expect(theirs.size).toBeGreaterThan(5000);
  });

  it('has tags and attributes, and keeps their kind flag', () => {
    const types: BtfType[] = [
      {
        kind: 'int',
        id: 0,
        name: 'int',
        bytes: 4,
        bits: 32,
        offsetBits: 0,
        signed: true,
        isBool: false,
        isChar: false,
      },
      { kind: 'type_tag', id: 0, name: 'user', typeId: 1, isAttribute: false },
      { kind: 'ptr', id: 0, name: '', typeId: 2 },
      { kind: 'type_tag', id: 0, name: 'address_space(1)', typeId: 3, isAttribute: true },
      { kind: 'ptr', id: 0, name: '', typeId: 4 },
      {
        kind: 'struct',
        id: 0,
        name: 'tagged',
        bytes: 16,
        members: [
          { name: 'a', typeId: 3, offsetBits: 0, bitfieldBits: 0 },
          { name: 'b', typeId: 5, offsetBits: 64, bitfieldBits: 0 },
        ],
      },
      { kind: 'decl_tag', id: 0, name: 'plain', typeId: 6, componentIndex: -1, isAttribute: false },
      { kind: 'decl_tag', id: 0, name: 'preserve_access_index', typeId: 6, componentIndex: -1, isAttribute: true },
    ];
    const bytes = writeBtf(types);
    const btf = parseBtf(bytes);
    expect([...btf.types()].map((type) => ({ ...type, id: 0 }))).toEqual(types);
    const header = btf.printHeader();
    expect(header).toContain('int __attribute__((btf_type_tag("user"))) *a;');
    expect(header).toContain('*__attribute__((address_space(1))) *b;');
    expect(definitions(header)).toEqual(definitions(libbpf.printC(bytes)));
  });
});
