import { describe, expect, it } from '@jest/globals';
import { cpioArchive } from './cpio.js';

interface Entry {
  readonly name: string;
  readonly mode: number;
  readonly links: number;
  readonly data: string;
}

/** Reads as the kernel's unpacker does: header of 110 bytes, name and data each padded to four bytes. */
function entriesOf(archive: Buffer): Entry[] {
  const entries: Entry[] = [];
  const align = (at: number): number => (at + 3) & ~3;
  for (let at = 0; at < archive.length;) {
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const [mode, links, size, nameBytes] = [field(1), field(4), field(6), field(11)];
    const name = archive.toString('latin1', at + 110, at + 110 + nameBytes - 1);
    const start = align(at + 110 + nameBytes);
    entries.push({ name, mode, links, data: archive.toString('latin1', start, start + size) });
    at = align(start + size);
  }
  return entries;
}

describe('cpioArchive', () => {
  it('makes each folder once and before what is in it', () => {
    const archive = cpioArchive([
      { path: 'lib/a/one', data: Buffer.from('x') },
      { path: 'lib/a/two', data: Buffer.from('yy'), mode: 0o755 },
      { path: 'lib/link', target: 'a/one' },
      { path: 'proc', folder: true },
    ]);
    expect(entriesOf(archive)).toEqual([
      { name: 'lib', mode: 0o040755, links: 2, data: '' },
      { name: 'lib/a', mode: 0o040755, links: 2, data: '' },
      { name: 'lib/a/one', mode: 0o100644, links: 1, data: 'x' },
      { name: 'lib/a/two', mode: 0o100755, links: 1, data: 'yy' },
      { name: 'lib/link', mode: 0o120777, links: 1, data: 'a/one' },
      { name: 'proc', mode: 0o040755, links: 2, data: '' },
      { name: 'TRAILER!!!', mode: 0, links: 1, data: '' },
    ]);
  });

  it.each(['/etc/passwd', '../up', 'a//b', ''])('has no place for %p', (path) => {
    expect(() => cpioArchive([{ path, data: Buffer.alloc(0) }])).toThrow(RangeError);
  });
});
