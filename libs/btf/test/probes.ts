import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROBES = join(dirname(fileURLToPath(import.meta.url)), '../../probes');
const TARGET_ARCH: Record<string, string> = { x64: 'x86', arm64: 'arm64', arm: 'arm' };

/** The probes that come with bpfleet, by the name of their folder. */
export const PROBE_NAMES: readonly string[] = readdirSync(PROBES).filter((name) =>
  existsSync(join(PROBES, name, `${name}.bpf.c`)),
);

/** Compiles probes against one vmlinux.h. */
export function compileProbes(vmlinuxHeader: string): Map<string, Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-btf-probes-'));
  try {
    writeFileSync(join(folder, 'vmlinux.h'), vmlinuxHeader);
    return new Map(PROBE_NAMES.map((name) => [name, compile(name, folder)]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compile(name: string, folder: string): Uint8Array {
  const object = join(folder, `${name}.o`);
  const headers = ['-I', folder, '-I', join(PROBES, 'include')];
  const arch = `-D__TARGET_ARCH_${TARGET_ARCH[process.arch] ?? process.arch}`;
  const options = [
    '-target',
    'bpf',
    '-O2',
    '-g',
    arch,
    ...headers,
    '-c',
    join(PROBES, name, `${name}.bpf.c`),
    '-o',
    object,
  ];
  execFileSync('clang', options, { stdio: 'pipe' });
  return new Uint8Array(readFileSync(object));
}
