import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parseBtf } from '@bpfleet/btf';
import { ContractServer } from '../testing/contract-server.js';
import { addBtfSection, makeDeb, makeVmlinux, type MadeKernel } from '../testing/kernel-files.js';
import { buildCli, runCli } from '../testing/run-cli.js';
import { tarEntries } from './tar.js';

const server = new ContractServer();
const folder = mkdtempSync(join(tmpdir(), 'bpfleet-cli-btf-'));
let url = '';
let dwarf: MadeKernel;
let withBtf: MadeKernel;
let section: Buffer;

beforeAll(async () => {
  await buildCli();
  url = await server.start();
  dwarf = makeVmlinux(folder, 'vmlinux-6.9.0-test');
  withBtf = makeVmlinux(folder, 'vmlinux');
  section = addBtfSection(withBtf);
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  server.calls.length = 0;
  server.answers = {
    addBtf: ({ body, query }) => ({
      digest: 'd'.repeat(64),
      bytes: body.length,
      pointerBits: 64,
      source: 'admin' as const,
      addedBy: 'kari',
      createdAt: '2026-05-01T10:00:00.000Z',
      builds: [{ buildId: query.buildId, kernelRelease: query.release ?? null, kernelArch: query.arch ?? 'arm64' }],
      devices: 2,
    }),
  };
});

const add = (args: string[], env: Record<string, string> = {}) =>
  runCli(['btf', 'add', ...args], { env: { BPFLEET_SERVER: url, BPFLEET_TOKEN: 'bpft_test', ...env } });

const sent = () => server.callsOf('addBtf')[0];

/** A data.tar with this file at that place, as tar makes it. */
function tarOf(file: string, place: string, ...options: string[]): Buffer {
  const root = mkdtempSync(join(folder, 'root-'));
  mkdirSync(join(root, dirname(place)), { recursive: true });
  writeFileSync(join(root, 'first'), 'x'.repeat(1000));
  cpSync(file, join(root, place));
  return execFileSync('tar', ['-c', ...options, '-C', root, './first', `./${place}`], { maxBuffer: 1 << 28 });
}

describe('bpfleet btf add', () => {
  it('takes the BTF, build id, release and architecture out of a vmlinux', async () => {
    const result = await add([withBtf.path]);
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(sent()?.query).toEqual({
      buildId: withBtf.buildId,
      release: '6.9.0-test',
      arch: 'x86_64',
      replace: 'false',
    });
    expect(Buffer.from(sent()?.body ?? []).equals(section)).toBe(true);
    expect(result.stdout).toContain(`6.9.0-test (x86_64), build ${withBtf.buildId}`);
    expect(result.stdout).toContain('2 devices have that kernel.');
  });

  it('has pahole make it of debug information where a vmlinux has no BTF', async () => {
    const result = await add([dwarf.path, '--json']);
    expect(result.exitCode).toBe(0);
    expect(JSON.parse(result.stdout)).toMatchObject({ devices: 2 });
    expect(sent()?.query).toMatchObject({ buildId: dwarf.buildId, release: '6.9.0-test' });
    const task = parseBtf(sent()?.body ?? Buffer.alloc(0)).findByName('struct', 'task_struct');
    expect(task?.members.map(({ name }) => name)).toEqual(['state', 'pid']);
  });

  it('says which program to install, or what to run elsewhere, where there is no pahole', async () => {
    const result = await add([dwarf.path], { PATH: '/nonexistent' });
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toMatch(
      /there is no pahole.*install it.*pahole --btf_encode_detached=kernel.btf.*--build-id/,
    );
    expect(server.calls).toEqual([]);
  });

  it.each([
    ['xz', 'usr/lib/debug/boot/vmlinux-6.9.0-test', []],
    ['gz', 'usr/lib/debug/lib/modules/6.9.0-test/vmlinux', ['--format=pax']],
    ['none', `usr/lib/debug/boot/vmlinux-6.9.0-${'x'.repeat(90)}`, ['--format=gnu']],
  ])('finds the vmlinux in a debug package packed with %s', async (packing, place, options) => {
    const tar = tarOf(withBtf.path, place, ...options);
    const path = join(folder, `linux-image-${packing}.deb`);
    if (packing === 'xz') makeDeb(path, 'data.tar.xz', execFileSync('xz', ['-c'], { input: tar, maxBuffer: 1 << 28 }));
    else if (packing === 'gz') makeDeb(path, 'data.tar.gz/', gzipSync(tar));
    else makeDeb(path, 'data.tar', tar);
    const temporary = mkdtempSync(join(folder, 'tmp-'));
    const result = await add([path], { TMPDIR: temporary });
    expect(result.exitCode).toBe(0);
    expect(sent()?.query).toMatchObject({ buildId: withBtf.buildId, release: expect.stringMatching(/^6\.9\.0-/) });
    expect(Buffer.from(sent()?.body ?? []).equals(section)).toBe(true);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('says which program unpacks a package where it is not there', async () => {
    const path = join(folder, 'no-xz.deb');
    makeDeb(path, 'data.tar.xz', Buffer.from('whatever'));
    const result = await add([path], { PATH: '/nonexistent' });
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toMatch(/packed with xz, which is not here: install xz-utils, or unpack/);
  });

  it('takes bare BTF with the build id that was typed', async () => {
    const path = join(folder, 'bare.btf');
    writeFileSync(path, section);
    const missing = await add([path]);
    expect([missing.exitCode, missing.stderr]).toEqual([2, expect.stringContaining('give --build-id')]);
    const args = [path, '--build-id', 'AB'.repeat(20), '--release', '5.15.92-yocto', '--arch', 'arm64', '--replace'];
    expect((await add(args)).exitCode).toBe(0);
    expect(sent()?.query).toEqual({
      buildId: 'ab'.repeat(20),
      release: '5.15.92-yocto',
      arch: 'arm64',
      replace: 'true',
    });
  });

  it.each([
    ['something else', () => Buffer.from('#!/bin/sh\n'), /is no vmlinux, no Debian package and no BTF/],
    ['a damaged ELF file', () => readFileSync(withBtf.path).subarray(0, 3000), /is damaged: /],
    ['a package without a kernel', () => deb('usr/share/doc/readme'), /give the kernel's debug package/],
    ['a package that ends early', () => deb('usr/lib/debug/boot/vmlinux-6.9.0-test').subarray(0, 4000), /is damaged/],
    ['an ar archive that is no package', () => Buffer.from('!<arch>\nhello'), /is no Debian package/],
  ])('refuses %s in one sentence', async (name, bytes, sentence) => {
    const path = join(folder, name.replaceAll(' ', '-'));
    writeFileSync(path, bytes());
    const result = await add([path, '--build-id', 'ab'.repeat(20)]);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toMatch(sentence);
    expect(server.calls).toEqual([]);
  });

  it('refuses a build id or an architecture that the file contradicts, and what is no file', async () => {
    const other = await add([withBtf.path, '--build-id', 'ab'.repeat(20)]);
    expect(other.stderr).toContain(`the file has the build id ${withBtf.buildId}, and not ${'ab'.repeat(20)}`);
    expect((await add([withBtf.path, '--arch', 'arm'])).stderr).toContain('the file has the architecture x86_64');
    expect((await add(['/dev/zero'])).stderr).toContain('/dev/zero is not a regular file');
    expect((await add([join(folder, 'nothing')])).stderr).toContain('cannot be read');
    expect(server.calls).toEqual([]);
  });

  function deb(place: string): Buffer {
    const path = join(folder, 'made.deb');
    makeDeb(path, 'data.tar', tarOf(withBtf.path, place));
    return readFileSync(path);
  }
});

describe('a tar archive', () => {
  it('survives any flipped byte of its headers without anything but a refusal', async () => {
    const small = join(folder, 'small');
    writeFileSync(small, 'hello');
    const archive = tarOf(small, `a/${'long'.repeat(40)}`, '--format=pax');
    for (let at = 0; at < Math.min(archive.length, 4096); at += 3) {
      const bent = Buffer.from(archive);
      bent[at] = (bent[at] ?? 0) ^ 0x15;
      try {
        let read = 0;
        for await (const entry of tarEntries(Readable.from([bent]))) {
          for await (const part of entry.content()) read += part.length;
        }
        expect(read).toBeLessThanOrEqual(archive.length);
      } catch (error) {
        expect(error).toMatchObject({ code: 'KERNEL_FILE' });
      }
    }
  });
});
