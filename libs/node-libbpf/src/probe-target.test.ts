import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { LibbpfError } from './errors.js';
import { attachToFile } from './probe-target.js';
import type { UserTarget } from './user-file.js';
import { sectionTarget, userFile } from './user-file.js';

const folder = mkdtempSync(join(tmpdir(), 'node-libbpf-target-'));
afterAll(() => rmSync(folder, { recursive: true }));

// One function in each instruction set, and the note of a USDT in each, as sys/sdt.h lays it out.
const SOURCE = `
#define USDT(name) __asm__ volatile("990: nop\\n" \\
  ".pushsection .note.stapsdt, \\"\\", \\"note\\"\\n.balign 4\\n.4byte 992f - 991f, 994f - 993f, 3\\n" \\
  "991: .asciz \\"stapsdt\\"\\n992: .balign 4\\n993: .4byte 990b, stapsdt_base, 0\\n" \\
  ".asciz \\"p\\", \\"" name "\\", \\"\\"\\n994: .balign 4\\n.popsection\\n")
__asm__(".pushsection .stapsdt.base, \\"a\\", \\"progbits\\"\\nstapsdt_base: .space 1\\n.popsection\\n");
__attribute__((noinline)) int in_arm(int a) { USDT("arm"); return a + 1; }
__attribute__((noinline, target("thumb"))) int in_thumb(int a) { USDT("thumb"); USDT("both"); return a + 2; }
__attribute__((noinline)) int with_both(int a) { USDT("both"); return a + 3; }`;

const built = (name: string) => join(folder, name);
function compile(name: string, target: string, ...flags: string[]): void {
  const source = built('source.c');
  writeFileSync(source, SOURCE);
  const link = ['-nostdlib', '-shared', '-fuse-ld=lld', '-O1'];
  execFileSync('clang', [`--target=${target}`, ...link, ...flags, source, '-o', built(name)], { stdio: 'pipe' });
}

const refuseWith = (errno: number) => () => {
  throw new LibbpfError('BPF_ATTACH', 'attach', errno);
};
const EINVAL = 22;

describeWithKernel('what is attached to a file', ['clang', 'lld'], () => {
  beforeAll(() => {
    compile('arm.so', 'armv7-linux-gnueabihf');
    compile('arm64.so', 'aarch64-linux-gnu', '-Din_thumb=__attribute__((unused))in_thumb', '-Dthumb=nothing');
    compile('stripped.so', 'armv7-linux-gnueabihf', '-Wl,--strip-all', '-fvisibility=hidden');
    compile('exported.so', 'armv7-linux-gnueabihf', '-Wl,--strip-all');
    copyFileSync(built('arm.so'), built('arm-program'));
  });

  /** What attachToFile says, or `attached`. */
  function told(target: UserTarget, kernel = 'armv7l', attach: () => unknown = () => undefined): string {
    try {
      attachToFile('attach', target, attach, kernel);
      return 'attached';
    } catch (error) {
      if (error instanceof LibbpfError) return `${error.code} ${error.message}`;
      throw error;
    }
  }
  const usdt = (file: string, name: string) => ({ path: built(file), usdt: { provider: 'p', name } });

  it('is no 32-bit program on an ARM64 kernel, which would never see it', () => {
    const refused = /^BPF_UNSUPPORTED .* is a 32-bit program, which ARM64 kernels do not trace$/;
    expect(told({ path: built('arm.so'), function: 'in_arm' }, 'aarch64')).toMatch(refused);
    expect(told({ path: built('arm.so') }, 'aarch64')).toMatch(refused);
    expect(told(usdt('arm.so', 'arm'), 'aarch64')).toMatch(refused);
    expect(told({ path: built('arm64.so'), function: 'in_arm' }, 'aarch64')).toBe('attached');
    expect(told({ path: built('arm.so'), function: 'in_thumb' }, 'x86_64')).toBe('attached');
  });

  it('is ARM code on a kernel of 32-bit ARM, by the symbol of the function', () => {
    const path = built('arm.so');
    const thumb =
      /^BPF_UNSUPPORTED attach: .*function in_thumb(@@V1)? of .*arm\.so is Thumb code .* choose .* tracepoint/;
    expect(told({ path, function: 'in_arm' })).toBe('attached');
    expect(told({ path, function: 'in_thumb' })).toMatch(thumb);
    expect(told({ path, function: 'in_thumb@@V1' })).toMatch(thumb);
    // libbpf says that it is not there.
    expect(told({ path, function: 'absent' })).toBe('attached');
    expect(told({ path: built('exported.so'), function: 'in_arm' })).toBe('attached');
    expect(told({ path: built('exported.so'), function: 'in_thumb' })).toMatch(/exported\.so is Thumb code/);
  });

  it('is ARM code at an offset, by mapping symbols or the function around it', () => {
    for (const file of ['arm.so', 'exported.so']) {
      const offsetOf = (name: string): bigint => {
        const table = execFileSync('readelf', ['-W', '--dyn-syms', '-S', built(file)], { encoding: 'utf8' });
        const address = BigInt(`0x${new RegExp(`\\s([0-9a-f]{8})\\s.*\\s${name}$`, 'm').exec(table)?.[1] ?? '0'}`);
        const [, start = '0', at = '0'] = /\.text\s+PROGBITS\s+([0-9a-f]+)\s+([0-9a-f]+)/.exec(table) ?? [];
        return (address & ~1n) - BigInt(`0x${start}`) + BigInt(`0x${at}`);
      };
      expect(told({ path: built(file), offset: offsetOf('in_arm') })).toBe('attached');
      expect(told({ path: built(file), offset: offsetOf('in_thumb') })).toMatch(/offset \d+ of .* is in Thumb code/);
    }
    // Of a file that says nothing the caller knows more than we do.
    expect(told({ path: built('stripped.so'), offset: 0x1000n })).toBe('attached');
  });

  it('is no USDT in Thumb code, at which the kernel would break the program, nor one of which nothing is known', () => {
    expect(told(usdt('arm.so', 'arm'))).toBe('attached');
    expect(told(usdt('arm.so', 'absent'))).toBe('attached');
    for (const name of ['thumb', 'both']) {
      expect(told(usdt('arm.so', name))).toMatch(new RegExp(`the USDT p:${name} of .*arm\\.so is in Thumb code`));
    }
    expect(told(usdt('exported.so', 'arm'))).toBe('attached');
    expect(told(usdt('exported.so', 'thumb'))).toMatch(/is in Thumb code/);
    expect(told(usdt('stripped.so', 'arm'))).toMatch(/nothing tells whether .* keep its symbol table/);
  });

  it('is told in words where the kernel says EINVAL all the same, and any other refusal as it is', () => {
    const arm = { path: built('arm.so'), function: 'in_arm' };
    expect(told(arm, 'armv7l', refuseWith(EINVAL))).toMatch(/^BPF_UNSUPPORTED .*no instruction there/);
    expect(told(arm, 'armv7l', refuseWith(1))).toMatch(/^BPF_ATTACH .*EPERM/);
    expect(told({ ...arm, path: built('arm64.so') }, 'aarch64', refuseWith(EINVAL))).toMatch(/^BPF_ATTACH .*EINVAL/);
  });

  it('is the file that libbpf finds for a bare name', () => {
    const [libraries, programs] = [process.env['LD_LIBRARY_PATH'], process.env['PATH']];
    process.env['LD_LIBRARY_PATH'] = `:/nowhere:${folder}`;
    process.env['PATH'] = `${folder}:${programs ?? ''}`;
    try {
      expect(told({ path: 'arm.so', function: 'in_thumb' })).toMatch(/of arm\.so is Thumb code/);
      expect(told({ path: 'arm-program' }, 'aarch64')).toMatch(/arm-program is a 32-bit program/);
      expect(userFile('absent.so')).toBeUndefined();
      expect(userFile('app.apk!/lib.so')).toBeUndefined();
      expect(userFile('/usr/lib/x.so')).toBe('/usr/lib/x.so');
    } finally {
      if (libraries === undefined) delete process.env['LD_LIBRARY_PATH'];
      else process.env['LD_LIBRARY_PATH'] = libraries;
      process.env['PATH'] = programs;
    }
  });

  it('is left to libbpf where it is no program', () => {
    writeFileSync(built('text'), 'no ELF');
    writeFileSync(built('short'), '\x7fELF\x01\x01');
    execFileSync('mkfifo', [built('fifo')]);
    for (const path of ['text', 'short', 'fifo', 'absent', '.'].map(built)) {
      expect(told({ path, function: 'f' })).toBe('attached');
    }
  });
});

it.each([
  ['uprobe/libc.so.6:malloc', { path: 'libc.so.6', function: 'malloc' }],
  ['uretprobe.s//usr/bin/a:f+0x10', { path: '/usr/bin/a', function: 'f' }],
  ['uprobe//a:std::f+g', { path: '/a', function: 'std::f+g' }],
  ['uprobe.multi/libc.so.6:*alloc', { path: 'libc.so.6' }],
  ['usdt//a:provider:name', { path: '/a', usdt: { provider: 'provider', name: 'name' } }],
  ['usdt.s/a:b:c', { path: 'a', usdt: { provider: 'b', name: 'c' } }],
  ['uprobe', undefined],
  ['usdt', undefined],
  ['uprobe/a', undefined],
  ['kprobe/f', undefined],
])('%s is attached to what it names', (section, target) => {
  expect(sectionTarget(section)).toEqual(target);
});
