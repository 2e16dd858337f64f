import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { comparable } from '../../test/compare-code.js';
import { everyRelocation, KEPT_OBJECTS, keptObject, keptSources } from '../../test/core-objects.js';
import { FOREIGN_KERNELS, kernelBtf } from '../../test/kernels.js';
import { Libbpf } from '../../test/libbpf.js';
import { compileProbes, PROBE_NAMES } from '../../test/probes.js';
import { readObject } from '../object/object.js';
import type { Btf } from '../types/btf.js';
import { parseBtf } from '../types/parse.js';
import { writeBtf } from '../types/write.js';
import { patchInstructions } from './patch.js';
import { resolveCoreRelocations } from './resolve.js';
import { tailorBtf } from './tailor.js';

const OWN = '/sys/kernel/btf/vmlinux';
const BIG = KEPT_OBJECTS.filter((name) => name.endsWith('bpfeb'));
const LITTLE = KEPT_OBJECTS.filter((name) => !name.endsWith('bpfeb'));

const LONG = {
  kind: 'int',
  id: 0,
  name: 'long unsigned int',
  bytes: 8,
  bits: 64,
  offsetBits: 0,
  signed: false,
  isBool: false,
  isChar: false,
} as const;

// libbpf creates an object's maps before it relocates, which takes root.
describeWithKernel('CO-RE as libbpf does it', ['root', 'bpf', 'btf', 'clang', 'bpftool', 'libbpf_source'], () => {
  let libbpf: Libbpf;
  const objects = new Map<string, Uint8Array>();
  beforeAll(() => {
    libbpf = new Libbpf();
    objects.set('every_relocation', everyRelocation());
    for (const name of LITTLE) objects.set(name, keptObject(name));
    const dump = ['btf', 'dump', 'file', OWN, 'format', 'c'];
    const header = execFileSync('bpftool', dump, { encoding: 'utf8', maxBuffer: 1 << 26 });
    for (const [name, bytes] of compileProbes(header)) objects.set(name, bytes);
  });
  afterAll(() => libbpf.close());

  describe.each(['host', ...FOREIGN_KERNELS])('against the types of %s', (kernel) => {
    let btf: Uint8Array;
    let target: Btf;
    beforeAll(() => {
      btf = kernelBtf(kernel);
      target = parseBtf(btf);
    });

    it.each(['every_relocation', ...LITTLE, ...PROBE_NAMES])(
      'gives %s the same instructions, by the tailored BTF too',
      (name) => {
        const bytes = objects.get(name) as Uint8Array;
        const object = readObject(bytes);
        const tailored = tailorBtf(object, target);
        for (const [theirs, ours] of [
          [libbpf.prepare(bytes, btf), resolveCoreRelocations(object, target)],
          [libbpf.prepare(bytes, tailored), resolveCoreRelocations(object, parseBtf(tailored))],
        ] as const) {
          const patched = patchInstructions(object, ours);
          expect([patched.refusals.map(({ reason }) => reason), theirs.refusal]).toEqual([[], undefined]);
          expect(patched.programs.map((program) => program.name)).toEqual([...theirs.programs.keys()]);
          for (const { name: program, instructions } of patched.programs) {
            const reference = theirs.programs.get(program) as Uint8Array;
            expect([program, comparable(instructions, reference)]).toEqual([program, comparable(reference, reference)]);
          }
        }
      },
    );
  });

  it.each(PROBE_NAMES)('loads %s into this kernel, with a tailored BTF and no other', (name) => {
    const bytes = objects.get(name) as Uint8Array;
    const tailored = tailorBtf(readObject(bytes), parseBtf(kernelBtf('host')));
    expect(tailored.length).toBeLessThan(4096);
    const { refusal, programs } = libbpf.load(bytes, tailored);
    expect(refusal).toBeUndefined();
    expect(programs.size).toBeGreaterThan(0);
    // Without the types the same object does not get that far, unless it has nothing to ask of them.
    const empty = writeBtf([LONG]);
    const asks = readObject(bytes).coreRelocations.some(({ kind }) => kind === 'field_byte_offset');
    expect(libbpf.load(bytes, empty).refusal === undefined).toBe(!asks);
  });

  it.each(KEPT_OBJECTS)('%s is made of the source as it is (else run scripts/compile-objects.mjs)', (name) => {
    const { then, now } = keptSources(name);
    expect(then).toBe(now);
  });

  it.each(BIG)('relocates a big-endian object (%s) to the same instructions', (name) => {
    const bytes = keptObject(name);
    const object = readObject(bytes);
    const types = [...parseBtf(kernelBtf('arm64-6.12')).types()];
    const kernel = writeBtf(types, false);
    const resolution = resolveCoreRelocations(object, parseBtf(kernel));
    // libbpf gives the instructions in this machine's byte order, and the shifts of this machine's bitfields.
    const theirs = libbpf.prepare(bytes, kernel);
    expect(theirs.refusal).toBeUndefined();
    for (const program of patchInstructions(object, resolution).programs) {
      const reference = theirs.programs.get(program.name) as Uint8Array;
      const parts = object.code.partsOf(program.name) ?? [];
      const shifts = new Set(
        resolution.relocations
          .filter(({ relocation }) => relocation.kind === 'field_lshift_u64')
          .map(
            ({ program: holder, instruction }) =>
              instruction + (parts.find((part) => part.name === holder)?.first ?? NaN),
          ),
      );
      const skip = (at: number): boolean => shifts.has(at);
      expect([program.name, comparable(program.instructions, reference, false, skip)]).toEqual([
        program.name,
        comparable(reference, reference, true, skip),
      ]);
    }
  });
});
