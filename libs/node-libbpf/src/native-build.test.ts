import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { loadAddon } from './load-addon.js';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const built = join(packageFolder, 'build/Release/bpf.node');
const hostPrebuild = `prebuilds/linux-${process.arch}/bpf.node`;

interface Facts {
  machine: string;
  needed: string[];
  open: string[];
  glibc: string;
}
interface ElfChecks {
  inspectAddon(path: string): Facts;
  requireSoundAddon(path: string, wanted?: { machine?: string; glibc?: string }): Facts;
}
interface CrossToolchain {
  TARGETS: Record<string, { folder: string; machine: string }>;
  crossToolchain(arch: string): { cc: string[]; link: string[]; sysroot: string };
}

/** The build scripts run before anything is compiled, so they are plain JavaScript. */
async function script<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(join(packageFolder, 'native', name)).href)) as T;
}

let folder: string;
let checks: ElfChecks;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'node-libbpf-build-'));
  checks = await script<ElfChecks>('elf-checks.mjs');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('choosing an addon', () => {
  /** A package folder with these files, each a working addon or something else. */
  function packageWith(name: string, files: Record<string, 'addon' | 'garbage'>): string {
    const at = join(folder, name);
    mkdirSync(at);
    for (const [file, content] of Object.entries(files)) {
      mkdirSync(dirname(join(at, file)), { recursive: true });
      if (content === 'addon') copyFileSync(built, join(at, file));
      else writeFileSync(join(at, file), 'not an ELF file');
    }
    return at;
  }

  const loads = (at: string) =>
    (loadAddon(join(at, 'dist'), 'linux', process.arch) as { libbpfVersion(): string }).libbpfVersion();

  it('takes the prebuilt one of this platform', () => {
    expect(loads(packageWith('prebuilt', { [hostPrebuild]: 'addon' }))).toBe('v1.5');
  });

  it('prefers the one that was built here, which a prebuilt one must not hide when it is old', () => {
    const both = packageWith('both', { 'build/Release/bpf.node': 'addon', [hostPrebuild]: 'garbage' });
    expect(loads(both)).toBe('v1.5');
  });

  it('prefers the one that lies beside a bundle', () => {
    expect(loads(packageWith('bundle', { 'dist/bpf.node': 'addon', 'build/Release/bpf.node': 'garbage' }))).toBe(
      'v1.5',
    );
  });

  it('takes the prebuilt one when the other does not load', () => {
    const broken = packageWith('broken', { 'build/Release/bpf.node': 'garbage', [hostPrebuild]: 'addon' });
    expect(loads(broken)).toBe('v1.5');
  });

  it('says what to do where there is none, and why the one that is there does not load', () => {
    expect(() => loads(packageWith('none', {}))).toThrow(
      `node-libbpf: there is no addon for linux-${process.arch}; "node native/install.mjs" in ${folder}/none builds one`,
    );
    expect(() => loads(packageWith('refused', { [hostPrebuild]: 'garbage' }))).toThrow(
      /prebuilds\/linux-\w+\/bpf\.node does not load \(.*\); "node native\/install\.mjs" in \S+\/refused builds one/,
    );
  });
});

describe('checks of a built addon', () => {
  function library(name: string, source: string, ...flags: string[]): string {
    const path = join(folder, `${name}.so`);
    execFileSync('cc', ['-shared', '-fPIC', '-xc', '-', '-o', path, '-xnone', ...flags], { input: source });
    return path;
  }

  it('passes the one that was built here', () => {
    expect(checks.requireSoundAddon(built).open).toEqual([]);
  });

  it('finds a function that nothing gives, which the linker lets pass', () => {
    const source = 'int gzopen(void); int napi_ok(void); int f(void) { return gzopen() + napi_ok(); }';
    expect(() => checks.requireSoundAddon(library('open', source))).toThrow('was linked without gzopen');
  });

  it('finds a library that devices may not have', () => {
    const other = library('libother', 'int other(void) { return 1; }');
    const path = library('needs', 'int other(void); int f(void) { return other(); }', other);
    expect(() => checks.requireSoundAddon(path)).toThrow('libother.so, which devices may not have');
  });

  it('finds another processor and a newer C library than promised', () => {
    const path = library('newer', '#include <stdio.h>\nint f(void) { return puts(""); }');
    expect(() => checks.requireSoundAddon(path, { machine: 'AVR' })).toThrow('not for AVR');
    expect(() => checks.requireSoundAddon(path, { glibc: '2.1' })).toThrow('2.1 is the oldest');
    expect(checks.requireSoundAddon(path, { glibc: '2.100' }).needed).toEqual(['libc.so.6']);
  });
});

describe('what the addon is linked with where there is no apt', () => {
  let alone: string;

  /** The package without its repository, so that no cache of sources is near. */
  beforeAll(() => {
    alone = join(folder, 'alone');
    mkdirSync(join(alone, 'bin'), { recursive: true });
    cpSync(join(packageFolder, 'native'), join(alone, 'native'), { recursive: true });
    const compiler = execFileSync('sh', ['-c', 'command -v cc'], { encoding: 'utf8' }).trim();
    symlinkSync(compiler, join(alone, 'bin/cc'));
  });

  function ask(environment: Record<string, string> = {}) {
    const env = { PATH: join(alone, 'bin'), ...environment };
    const asked = spawnSync(process.execPath, ['native/link-inputs.mjs', 'libraries'], {
      cwd: alone,
      env,
      encoding: 'utf8',
    });
    return { lines: asked.stdout.trim().split('\n'), error: /^Error: (.*)$/m.exec(asked.stderr)?.[1] };
  }

  function installed(name: string, version: [number, number]): string {
    const at = join(alone, name);
    mkdirSync(join(at, 'include/bpf'), { recursive: true });
    mkdirSync(join(at, 'lib'));
    const header = `#define LIBBPF_MAJOR_VERSION ${version[0]}\n#define LIBBPF_MINOR_VERSION ${version[1]}\n`;
    writeFileSync(join(at, 'include/bpf/libbpf_version.h'), header);
    for (const archive of ['libbpf.a', 'libelf.a', 'libz.a']) writeFileSync(join(at, 'lib', archive), '');
    return at;
  }

  it('is the libbpf that LIBBPF_DIR names, if it is new enough', () => {
    const at = installed('new', [1, 6]);
    const archives = ['libbpf.a', 'libelf.a', 'libz.a'].map((archive) => join(at, 'lib', archive));
    expect(ask({ LIBBPF_DIR: 'new' }).lines.slice(0, 3)).toEqual(archives);
    expect(ask({ LIBBPF_DIR: installed('old', [1, 4]) }).error).toMatch(/include has libbpf 1\.4; 1\.5 or newer/);
    expect(ask({ LIBBPF_DIR: '/nowhere' }).error).toContain('/nowhere/include has no libbpf; 1.5 or newer');
  });

  it('is the one that pkg-config knows, or else a sentence', () => {
    expect(ask().error).toMatch(/^no apt to fetch the pinned libbpf with, and pkg-config knows no libbpf: install/);
    const at = installed('system', [2, 0]);
    const answer = `#!/bin/sh\ncase "$1" in *includedir) echo ${at}/include;; *) echo ${at}/lib;; esac\n`;
    writeFileSync(join(alone, 'bin/pkg-config'), answer);
    chmodSync(join(alone, 'bin/pkg-config'), 0o755);
    expect(ask().lines[0]).toBe(join(at, 'lib/libbpf.a'));
  });
});

describe('installing the package alone', () => {
  function install(name: string, addon?: string) {
    const at = join(folder, name);
    cpSync(join(packageFolder, 'native'), join(at, 'native'), { recursive: true });
    if (addon !== undefined) cpSync(addon, join(at, hostPrebuild));
    // Without a path there is neither apt nor a compiler: a build from source ends at once, and says why.
    const { status, stdout, stderr } = spawnSync(process.execPath, ['native/install.mjs'], {
      cwd: at,
      env: { PATH: '' },
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }

  it('takes the prebuilt addon', () => {
    expect(install('carries', built)).toMatchObject({ status: 0, stdout: `node-libbpf: ${hostPrebuild} loads\n` });
  });

  it('builds from source where there is none, or one that does not load', () => {
    const bare = install('bare');
    expect(bare).toMatchObject({ status: 1, stdout: expect.stringContaining('; building from source\n') });
    expect(bare.stderr).toMatch(/^node-libbpf: no apt to fetch the pinned libbpf with.*\n$/);
    const garbage = join(folder, 'garbage.node');
    writeFileSync(garbage, 'not an ELF file');
    expect(install('unsuited', garbage).stdout).toContain(`${hostPrebuild} do not load; building`);
  });
});

describeWithKernel('addons for devices', ['clang', 'lld'], () => {
  const architectures = ['x64', 'arm64', 'armv7'];
  let cross: CrossToolchain;
  const prebuild = (arch: string) => join(packageFolder, 'prebuilds', cross.TARGETS[arch]?.folder ?? '', 'bpf.node');

  beforeAll(async () => {
    cross = await script<CrossToolchain>('cross-toolchain.mjs');
    execFileSync(process.execPath, [join(packageFolder, 'native/prebuild.mjs')], { stdio: 'pipe' });
  }, 900_000);

  it.each(architectures)('%s: is for its processor, needs glibc 2.28 and nothing else', (arch) => {
    const facts = checks.requireSoundAddon(prebuild(arch), { glibc: '2.28' });
    expect(facts.machine).toBe(cross.TARGETS[arch]?.machine);
  });

  it('this processor: loads in a fresh process and reads an object', () => {
    const path = join(packageFolder, hostPrebuild);
    const code = `const addon = require(${JSON.stringify(path)});
      const empty = addon.openObject(Buffer.alloc(64), undefined, undefined);
      console.log(JSON.stringify([addon.libbpfVersion(), addon.possibleCpus() > 0, empty]));`;
    const output = execFileSync(process.execPath, ['-e', code], { encoding: 'utf8' });
    // LIBBPF_FORMAT: libelf has looked at the bytes.
    expect(JSON.parse(output)).toEqual(['v1.5', true, -4001]);
  });

  describeWithKernel('under emulation', ['qemu-user'], () => {
    const emulators = [
      ['arm64', 'qemu-aarch64'],
      ['armv7', 'qemu-arm'],
    ] as const;

    it.each(emulators)('%s: the C library of 2020 loads it', (arch, emulator) => {
      const { cc, link, sysroot } = cross.crossToolchain(arch);
      const program = join(folder, `open-${arch}`);
      const source = `#include <dlfcn.h>
        #include <stdio.h>
        int main(int count, char **arguments) {
          void *addon = count == 2 ? dlopen(arguments[1], RTLD_LAZY) : 0;
          if (!addon || !dlsym(addon, "napi_register_module_v1")) { puts(dlerror()); return 1; }
          puts("loaded");
          return 0;
        }`;
      const [compiler, ...flags] = cc as [string, ...string[]];
      execFileSync(compiler, [...flags, ...link, '-xc', '-', '-o', program, '-ldl'], { input: source });
      const run = spawnSync(emulator, ['-L', sysroot, program, prebuild(arch)], { encoding: 'utf8', timeout: 30_000 });
      expect(run.stdout).toBe('loaded\n');
    });
  });
});
