import { describe, expect, it } from '@jest/globals';
import { gnuBuildId } from './build-id.js';

const ID = '00112233445566778899aabbccddeeff00112233';

function note(name: string, type: number, description: Buffer, littleEndian = true): Buffer {
  const head = Buffer.alloc(12);
  for (const [index, value] of [name.length, description.length, type].entries()) {
    if (littleEndian) head.writeUInt32LE(value, index * 4);
    else head.writeUInt32BE(value, index * 4);
  }
  const padding = (bytes: number) => Buffer.alloc((4 - (bytes % 4)) % 4);
  const parts = [Buffer.from(name, 'latin1'), padding(name.length), description, padding(description.length)];
  return Buffer.concat([head, ...parts]);
}

describe('the GNU build id', () => {
  const id = Buffer.from(ID, 'hex');

  it('is found among other notes, in either byte order', () => {
    for (const little of [true, false]) {
      const others = [note('Linux\0', 257, Buffer.from('abc'), little), note('Xen\0', 3, id, little)];
      expect(gnuBuildId(Buffer.concat([...others, note('GNU\0', 3, id, little)]), little)).toBe(ID);
    }
  });

  it('is undefined where there is none, or where the notes are cut short or lie about their size', () => {
    const lying = note('GNU\0', 3, id);
    lying.writeUInt32LE(0xffff_ffff, 4);
    const bad = [
      Buffer.alloc(0),
      note('GNU\0', 1, id),
      note('GNU\0', 3, id).subarray(0, 20),
      note('GNU\0', 3, Buffer.alloc(0)),
      note('GNU\0', 3, Buffer.alloc(64)),
      lying,
    ];
    expect(bad.map((notes) => gnuBuildId(notes))).toEqual(bad.map(() => undefined));
  });
});
