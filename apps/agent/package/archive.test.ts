import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';

interface Entry {
  path: string;
  mode?: number;
  content?: Buffer;
  linkTo?: string;
}
interface Archive {
  tar(entries: readonly Entry[], seconds: number): Buffer;
}
interface Deb {
  debianPackage(options: object): Buffer;
}
interface Elf {
  glibcNeeded(paths: readonly string[]): string;
  requireMachine(path: string, machine: number): void;
}

// Plain JavaScript, as everything that builds is.
const load = async <T>(name: string): Promise<T> => (await import(new URL(name, import.meta.url).href)) as T;
const { tar } = await load<Archive>('./archive.mjs');
const { debianPackage } = await load<Deb>('./deb.mjs');
const { glibcNeeded, requireMachine } = await load<Elf>('./elf.mjs');

const SECONDS = 1_700_000_000;
const entries: Entry[] = [
  { path: 'opt' },
  { path: 'opt/agent' },
  { path: 'opt/agent/run', mode: 0o755, content: Buffer.from('#!/bin/sh\n') },
  { path: 'opt/agent/zeros', content: Buffer.alloc(1025) },
  { path: 'opt/agent/link', linkTo: '/opt/agent/run' },
];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-archive-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What other people's programs make of it. */
function listing(archive: Buffer): string {
  writeFileSync(join(folder, 'it.tar'), archive);
  return execFileSync('tar', ['--utc', '--full-time', '-tvf', join(folder, 'it.tar')], { encoding: 'utf8' });
}

describe('the archive', () => {
  it('is one that tar unpacks: modes, contents, links, owner and the time that was asked for', () => {
    expect(listing(tar(entries, SECONDS)).split('\n')).toEqual([
      expect.stringMatching(/^drwxr-xr-x root\/root +0 2023-11-14 22:13:20 opt\/$/),
      expect.stringMatching(/^drwxr-xr-x .* opt\/agent\/$/),
      expect.stringMatching(/^-rwxr-xr-x root\/root +10 .* opt\/agent\/run$/),
      expect.stringMatching(/^-rw-r--r-- root\/root +1025 .* opt\/agent\/zeros$/),
      expect.stringMatching(/^lrwxrwxrwx .* opt\/agent\/link -> \/opt\/agent\/run$/),
      '',
    ]);
    execFileSync('tar', ['-xf', 'it.tar'], { cwd: folder });
    expect(readFileSync(join(folder, 'opt/agent/zeros'))).toEqual(Buffer.alloc(1025));
    expect(readlinkSync(join(folder, 'opt/agent/link'))).toBe('/opt/agent/run');
  });

  it('is the same bytes each time, and refuses a path that a plain header cannot hold', () => {
    expect(tar(entries, SECONDS).equals(tar(entries, SECONDS))).toBe(true);
    expect(() => tar([{ path: 'x'.repeat(101), content: Buffer.alloc(0) }], SECONDS)).toThrow('100 bytes');
  });
});

describeWithKernel('the Debian package', ['dpkg-deb', 'xz'], () => {
  it.each(['xz', 'gzip'])(
    'of %s is one that dpkg unpacks, names what it needs, and runs its scripts',
    (compression) => {
      const target = { debian: 'armhf', depends: ['libstdc++6', 'libatomic1'] };
      const build = () =>
        debianPackage({ entries, target, version: '1.2.3', glibc: '2.28', seconds: SECONDS, compression });
      const bytes = build();
      expect(bytes.equals(build())).toBe(true);
      const file = join(folder, 'it.deb');
      writeFileSync(file, bytes);
      const field = (name: string) => execFileSync('dpkg-deb', ['-f', file, name], { encoding: 'utf8' }).trim();
      expect([field('Package'), field('Version'), field('Architecture')]).toEqual(['bpfleet-agent', '1.2.3', 'armhf']);
      expect(field('Depends')).toBe('libc6 (>= 2.28), libstdc++6, libatomic1');
      execFileSync('dpkg-deb', ['-R', file, join(folder, 'tree')]);
      expect(lstatSync(join(folder, 'tree/opt/agent/run')).mode & 0o777).toBe(0o755);
      expect(readFileSync(join(folder, 'tree/DEBIAN/postinst'), 'utf8')).toContain(
        '/opt/bpfleet-agent/lib/setup configure',
      );
      expect(readFileSync(join(folder, 'tree/DEBIAN/prerm'), 'utf8')).toContain('/opt/bpfleet-agent/lib/setup stop');
      execFileSync('md5sum', ['--quiet', '-c', 'DEBIAN/md5sums'], { cwd: join(folder, 'tree') });
    },
  );
});

describe('what a program needs', () => {
  it('reads the newest glibc that any of them names, and refuses one for another processor', () => {
    const old = join(folder, 'old');
    const header = Buffer.alloc(20);
    header.write('\x7fELF', 0, 'latin1');
    header.writeUInt16LE(40, 18);
    writeFileSync(old, Buffer.concat([header, Buffer.from('\0memcpy\0GLIBC_2.4\0GLIBC_2.28\0GLIBC_2.9\0')]));
    const young = join(folder, 'young');
    writeFileSync(young, Buffer.from('\0GLIBC_2.34\0GLIBC_2.4\0'));
    expect(glibcNeeded([old])).toBe('2.28');
    expect(glibcNeeded([old, young])).toBe('2.34');
    expect(() => requireMachine(old, 40)).not.toThrow();
    expect(() => requireMachine(old, 183)).toThrow('is for machine 40');
    expect(() => requireMachine(young, 40)).toThrow('is no ELF file');
  });
});
