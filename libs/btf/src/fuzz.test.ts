import { expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { ASKING_SOURCE } from '../test/asking-object.js';
import { compileBpf, randomFrom } from '../test/compile-bpf.js';
import { everyRelocation } from '../test/core-objects.js';
import { randomType } from '../test/hostile-types.js';
import { patchInstructions } from './core/patch.js';
import { findLongReads, findReadMismatches } from './core/read-sizes.js';
import { resolveCoreRelocations } from './core/resolve.js';
import { tailorBtf } from './core/tailor.js';
import { copyEncoder, pgTypeOf } from './decode/copy-encoder.js';
import { CopyWriter } from './decode/copy-writer.js';
import { objectDecoder } from './decode/object-decoder.js';
import { rowDecoder } from './decode/row-decoder.js';
import { parseElf } from './elf/elf.js';
import { BtfError } from './error.js';
import { columnsOf } from './layout/columns.js';
import { readObject } from './object/object.js';
import type { Btf } from './types/btf.js';
import { parseBtf } from './types/parse.js';
import { writeBtf } from './types/write.js';

/** A failing seed can be run again by itself: nothing else decides what is made. */
const SEEDS = [1, 2, 3];
const KERNELS_A_SEED = 100;
const OBJECTS_A_SEED = 100;
/** Of processor time, which other work on the machine does not use up. */
const SECONDS_AN_INPUT_MAX = 5;

/** Does what is asked; whatever comes must be an answer or a BtfError. True for an answer. */
function answered(ask: () => unknown): boolean {
  try {
    ask();
    return true;
  } catch (error) {
    if (error instanceof BtfError) return false;
    throw error;
  }
}

const RECORD = new DataView(Uint8Array.from({ length: 4096 }, (_, at) => at * 31).buffer);

/** Everything that can be asked of types by themselves. */
function askTypes(btf: Btf): void {
  answered(() => btf.printHeader());
  for (let id = 0; id < btf.typeCount; id += 1) {
    answered(() => btf.sizeOf(id));
    answered(() => btf.printC(id));
    answered(() => objectDecoder(btf, id)(RECORD, 0, RECORD.byteLength));
    answered(() => {
      const columns = columnsOf(btf, id, { arms: ['u', 'x.a', 'l'] });
      const layout = { littleEndian: btf.littleEndian, bytesMin: btf.sizeOf(id) };
      const usable = columns.flatMap((column) => {
        const pgType = pgTypeOf(column);
        return pgType === undefined ? [] : [{ column, pgType }];
      });
      copyEncoder(layout, usable)(RECORD, 0, RECORD.byteLength, new CopyWriter());
      const fields = columns.filter(({ kind }) => kind !== 'opaque').map((column, at) => ({ name: `c${at}`, column }));
      rowDecoder(layout, fields)(RECORD, 0, RECORD.byteLength);
    });
  }
}

/** Everything that can be asked of an object and a kernel. True when the object could be relocated. */
function askBoth(bytes: Uint8Array, kernel: Btf): boolean {
  return answered(() => {
    const object = readObject(bytes);
    const resolution = resolveCoreRelocations(object, kernel);
    patchInstructions(object, resolution);
    findReadMismatches(object, resolution);
    findLongReads(object);
    const tailored = parseBtf(tailorBtf(object, kernel));
    const again = resolveCoreRelocations(object, tailored);
    // The whole point of a tailored BTF, whatever the kernel is like.
    const answers = ({ relocations }: typeof again): unknown[] =>
      relocations.map(({ relocation, outcome, value }) => [
        outcome,
        relocation.kind === 'type_id_target' ? 'id' : value,
      ]);
    expect(answers(again)).toEqual(answers(resolution));
  });
}

function timed(ask: () => boolean): boolean {
  const before = process.cpuUsage();
  const result = ask();
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1e6).toBeLessThan(SECONDS_AN_INPUT_MAX);
  return result;
}

const without = <T extends { id: number }>(type: T): T => ({ ...type, id: 0 });

describeWithKernel('whatever somebody sends', ['clang'], () => {
  it.each(SEEDS)('as the types of a kernel ends in an answer or a BtfError (seed %d)', (seed) => {
    const random = randomFrom(seed);
    const object = compileBpf(ASKING_SOURCE);
    let relocated = 0;
    for (let round = 0; round < KERNELS_A_SEED; round += 1) {
      const count = 5 + Math.floor(random() * 60);
      const types = Array.from({ length: count }, () => randomType(random, count));
      const bytes = writeBtf(types);
      const kernel = parseBtf(bytes);
      expect([...kernel.types()].map(without)).toEqual(types);
      expect(writeBtf([...kernel.types()])).toEqual(bytes);
      const split = parseBtf(bytes, kernel);
      if (timed(() => (askTypes(kernel), askBoth(object, kernel)))) relocated += 1;
      timed(() => (askTypes(split), askBoth(object, split)));
    }
    // Most kernels of this kind lack something or have it twice; some must get as far as the end.
    expect(relocated).toBeGreaterThan(0);
    expect(relocated).toBeLessThan(KERNELS_A_SEED);
  });

  it.each(SEEDS)('as an object ends in an answer or a BtfError (seed %d)', (seed) => {
    const random = randomFrom(seed);
    const pristine = everyRelocation();
    const elf = parseElf(pristine);
    const kernel = parseBtf(elf.section('.BTF')?.data ?? new Uint8Array());
    const view = new DataView(pristine.buffer, pristine.byteOffset, pristine.byteLength);
    const table = {
      at: Number(view.getBigUint64(0x28, true)),
      bytes: view.getUint16(0x3a, true) * view.getUint16(0x3c, true),
    };
    const ranges: (readonly [number, number])[] = [
      [0, 64],
      [table.at, table.bytes],
      ...['.BTF', '.BTF.ext', '.symtab', '.strtab', '.relraw_tp/subprograms', 'raw_tp/subprograms', '.text'].flatMap(
        (name) => {
          const data = elf.section(name)?.data;
          return data === undefined ? [] : [[data.byteOffset - pristine.byteOffset, data.length] as const];
        },
      ),
    ];
    const words = [0, 1, 2, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, pristine.length, pristine.length - 1];
    let read = 0;
    for (let round = 0; round < OBJECTS_A_SEED; round += 1) {
      const damaged = pristine.slice();
      const target = new DataView(damaged.buffer);
      for (let changes = 1 + Math.floor(random() * 3); changes > 0; changes -= 1) {
        const [start, length] = ranges[Math.floor(random() * ranges.length)] as readonly [number, number];
        const at = start + Math.floor(random() * Math.max(1, length - 4));
        if (random() < 0.5) target.setUint8(at, Math.floor(random() * 256));
        else target.setUint32(at & ~3, words[Math.floor(random() * words.length)] as number, true);
      }
      if (timed(() => askBoth(damaged, kernel))) read += 1;
    }
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(OBJECTS_A_SEED);
  });
});
