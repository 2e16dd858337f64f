import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { missingCapabilities } from '@bpfleet/testkit';
import { describeWithJail } from '../testing/describe-with-jail.js';
import { CompileJail } from './compile-jail.js';
import { CompileError } from './diagnostics.js';
import { PackageError } from './package.js';
import type { SourcePackage } from './package.js';
import { ensureVmlinuxHeader } from './vmlinux-header.js';

const probes = fileURLToPath(new URL('../../../../../libs/probes', import.meta.url));
const bpfleetHeaders = path.join(probes, 'include');

function source(text: string, name = 'a.bpf.c'): SourcePackage {
  return { files: [{ name, bytes: Buffer.from(text) }] };
}

async function refusal(promise: Promise<unknown>): Promise<CompileError> {
  return promise.then(
    () => Promise.reject(new Error('it compiled')),
    (error: unknown) => {
      if (error instanceof CompileError) return error;
      throw error;
    },
  );
}

describeWithJail('CompileJail', missingCapabilities(['clang', 'btf']), () => {
  let cache: string;
  let jail: CompileJail;
  const plain = new CompileJail({ includeDirs: [] });

  beforeAll(async () => {
    cache = await mkdtemp(path.join(tmpdir(), 'bpfleet-headers-'));
    jail = new CompileJail({
      includeDirs: [bpfleetHeaders, await ensureVmlinuxHeader(cache)],
      warningsAreErrors: true,
    });
  });

  afterAll(() => rm(cache, { recursive: true, force: true }));

  const builtIn = readdirSync(probes).filter((name) => /^[a-z]+_[a-z_]+$/.test(name) && name !== 'node_modules');

  it.each(builtIn)('compiles %s without a warning, with BTF and without DWARF', async (name) => {
    const file = `${name}.bpf.c`;
    const bytes = readFileSync(path.join(probes, name, file));
    const { object, warnings, compilerVersion } = await jail.compile(
      { files: [{ name: file, bytes }] },
      file,
      'x86_64',
    );
    expect(warnings).toEqual([]);
    expect(compilerVersion).toMatch(/clang version \d+/);
    expect(object.subarray(0, 4).toString('latin1')).toBe('\x7fELF');
    expect(object.includes('.BTF.ext')).toBe(true);
    expect(object.includes('.debug_info')).toBe(false);
  });

  it('gives the same bytes for the same source', async () => {
    const file = 'count_packets.bpf.c';
    const pkg = { files: [{ name: file, bytes: readFileSync(path.join(probes, 'count_packets', file)) }] };
    const [one, two] = await Promise.all([jail.compile(pkg, file, 'x86_64'), jail.compile(pkg, file, 'x86_64')]);
    expect(one.object.equals(two.object)).toBe(true);
  });

  it('finds the headers of the package', async () => {
    const pkg = source('#include "own.h"\nint x = OWN;\n');
    pkg.files.push({ name: 'own.h', bytes: Buffer.from('#define OWN 7\n') });
    const { object } = await plain.compile(pkg, 'a.bpf.c', 'arm64');
    expect(object.length).toBeGreaterThan(0);
  });

  it('tells programs which architecture they are compiled for', async () => {
    const pkg = source('#ifndef __TARGET_ARCH_arm\n#error not arm\n#endif\nint x;\n');
    await expect(plain.compile(pkg, 'a.bpf.c', 'arm')).resolves.toBeDefined();
    await expect(plain.compile(pkg, 'a.bpf.c', 'arm64')).rejects.toThrow('not arm');
  });

  it('says where C is wrong, with the line', async () => {
    const error = await refusal(
      plain.compile(source('int a;\nint f(void) { return nothing; }\n'), 'a.bpf.c', 'x86_64'),
    );
    expect(error.reason).toBe('diagnostics');
    expect(error.message).toBe("a.bpf.c:2:22: use of undeclared identifier 'nothing'");
    expect(error.diagnostics[0]).toEqual({
      file: 'a.bpf.c',
      line: 2,
      column: 22,
      severity: 'error',
      message: "use of undeclared identifier 'nothing'",
      sourceLine: 'int f(void) { return nothing; }',
    });
  });

  it('returns warnings beside the object', async () => {
    const { warnings } = await plain.compile(source('static int unused;\nint x;\n'), 'a.bpf.c', 'x86_64');
    expect(warnings).toMatchObject([{ file: 'a.bpf.c', line: 1, severity: 'warning' }]);
  });

  it('reports a stack that is too large as the compiler does', async () => {
    const text =
      'void g(char *);\n__attribute__((section("x"))) int f(void) { char b[600]; for (int i = 0; i < 600; i++) ((volatile char *)b)[i] = 1; return b[3]; }\n';
    const error = await refusal(plain.compile(source(text), 'a.bpf.c', 'x86_64'));
    expect(error.message).toMatch(/stack/i);
  });

  describe('leaks nothing of the host', () => {
    const marker = readFileSync('/etc/passwd', 'utf8').split('\n')[0] as string;

    it.each([
      ['#include', '#include "/etc/passwd"\n'],
      ['#include_next and a path upwards', '#include "../../../../etc/passwd"\n'],
      ['.incbin', '__asm__(".incbin \\"/etc/passwd\\"");\nint x;\n'],
      ['.include', '__asm__(".include \\"/etc/passwd\\"");\nint x;\n'],
      ['/proc', '__asm__(".incbin \\"/proc/self/environ\\"");\nint x;\n'],
      ['/dev', '__asm__(".incbin \\"/dev/mem\\"");\nint x;\n'],
    ])('by %s', async (_how, text) => {
      const error = await refusal(plain.compile(source(text), 'a.bpf.c', 'x86_64'));
      expect(error.message).toMatch(/not find|no such file|not found/i);
      expect(error.output).not.toContain(marker);
    });

    it('by __has_include, which would tell what is installed', async () => {
      const text =
        '#if __has_include("/etc/passwd") || __has_include("/home") || __has_include("/root/.bashrc")\n#error seen\n#endif\nint x;\n';
      await expect(plain.compile(source(text), 'a.bpf.c', 'x86_64')).resolves.toBeDefined();
    });
  });

  describe('stops what does not end', () => {
    // Each level is ten of the one below: 10^12 tokens.
    const levels = Array.from({ length: 12 }, (_, i) => `#define L${i + 1} ${`L${i} `.repeat(10)}`).join('\n');
    const bomb = `#define L0 ;\n${levels}\nL12\n`;
    const stopped = (options: object) =>
      refusal(new CompileJail({ includeDirs: [], ...options }).compile(source(bomb), 'a.bpf.c', 'x86_64'));

    it('at the time allowed, and leaves no process', async () => {
      const error = await stopped({ timeoutMs: 1500 });
      expect(error).toMatchObject({ code: 'COMPILE_FAILED', reason: 'timeout' });
      const left = readdirSync('/proc')
        .filter((pid) => /^\d+$/.test(pid))
        .map((pid) => {
          try {
            return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
          } catch {
            return '';
          }
        })
        .filter((command) => command.includes('--target=bpfel') && command.includes(' L12'));
      expect(left).toEqual([]);
    });

    it('at the CPU time allowed', async () => {
      const error = await stopped({ cpuSecondsMax: 1 });
      expect(error).toMatchObject({ reason: 'timeout', message: expect.stringContaining('1 s of CPU') });
    });

    it('at the memory allowed', async () => {
      const array = `#define L0 1,\n${levels}\nchar x[] = {L7};\n`;
      const small = new CompileJail({ includeDirs: [], memoryBytesMax: 384 * 1024 * 1024, timeoutMs: 60_000 });
      const error = await refusal(small.compile(source(array), 'a.bpf.c', 'x86_64'));
      expect(error.reason).toBe('memory');
    });

    it('at the output allowed', async () => {
      const jailWithSmallOutput = new CompileJail({ includeDirs: [], outputBytesMax: 65_536 });
      const text = '__asm__(".data\\n.fill 1000000, 1, 7\\n");\nint x;\n';
      const error = await refusal(jailWithSmallOutput.compile(source(text), 'a.bpf.c', 'x86_64'));
      expect(error.reason).toBe('output');
    });
  });

  it.each([
    ['..', /not a file name/],
    ['-o', /not a file name/],
    ['a/b.bpf.c', /not a file name/],
    ['x'.repeat(65), /not a file name/],
    ['', /not a file name/],
  ])('refuses the file name %j', async (name, message) => {
    const result = plain.compile({ files: [{ name, bytes: Buffer.from('') }] }, 'a.bpf.c', 'x86_64');
    await expect(result).rejects.toThrow(PackageError);
    await expect(result).rejects.toThrow(message);
  });

  it('says which files there are when the entry is missing', async () => {
    await expect(plain.compile(source(''), 'b.bpf.c', 'x86_64')).rejects.toThrow(
      'b.bpf.c is not in the package, which holds a.bpf.c',
    );
  });
});
