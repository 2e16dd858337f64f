import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { compileBpf } from '../../test/compile-bpf.js';
import { everyRelocation } from '../../test/core-objects.js';
import { FOREIGN_KERNELS, kernelBtf } from '../../test/kernels.js';
import { Libbpf } from '../../test/libbpf.js';
import { compileProbes, PROBE_NAMES } from '../../test/probes.js';
import { readObject } from '../object/object.js';
import type { Btf } from '../types/btf.js';
import { parseBtf } from '../types/parse.js';
import { InstructionView } from './instruction.js';
import { patchInstructions } from './patch.js';
import { resolveCoreRelocations } from './resolve.js';
import { tailorBtf } from './tailor.js';

const OWN = '/sys/kernel/btf/vmlinux';

/** References to maps, data and functions are the loader's own business: their registers and immediates are left out. */
function comparable(code: Uint8Array, reference: Uint8Array): string[] {
  const view = new InstructionView(reference, true);
  return Array.from({ length: code.length / 8 }, (_, index) => {
    const bytes = Buffer.from(code.subarray(index * 8, index * 8 + 8));
    const opened = (at: number): boolean => at >= 0 && view.isLoadImmediate64(at) && view.source(at) !== 0;
    if (opened(index)) bytes.fill(0, 4).writeUInt8((bytes[1] as number) & 0xf, 1);
    if (opened(index - 1)) bytes.fill(0, 4);
    return bytes.toString('hex');
  });
}

// libbpf creates an object's maps before it relocates, which takes root.
describeWithKernel('CO-RE as libbpf does it', ['root', 'btf', 'clang', 'bpftool', 'libbpf_source'], () => {
  let libbpf: Libbpf;
  const objects = new Map<string, Uint8Array>();
  beforeAll(() => {
    libbpf = new Libbpf();
    objects.set('every_relocation', everyRelocation());
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

    it.each(['every_relocation', ...PROBE_NAMES])('gives %s the same instructions, by the tailored BTF too', (name) => {
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
    });

    it('refuses the objects that libbpf refuses', () => {
      const source = `struct pid { long level[40]; } __attribute__((preserve_access_index));
SEC("raw_tp/x") int p(struct pid *p) { return p->level[39]; }`;
      const bytes = compileBpf(source);
      const object = readObject(bytes);
      // An offset that is not what the object's own types say: as if the compiler had been wrong.
      const spoilt = bytes.slice();
      const code = spoilt.subarray(indexOfCode(spoilt, object.code.partsOf('p')?.[0]?.bytes as Uint8Array));
      new InstructionView(code, true).setOffset(0, 3);
      const patched = patchInstructions(readObject(spoilt), resolveCoreRelocations(readObject(spoilt), target));
      const agrees = libbpf.prepare(spoilt, btf).refusal !== undefined;
      expect(patched.refusals.length > 0).toBe(agrees);
    });
  });
});

function indexOfCode(bytes: Uint8Array, code: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(Buffer.from(code));
}
