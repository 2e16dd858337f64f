import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReadLayout } from './read-layouts.js';
import { kernelName, readLayouts } from './read-layouts.js';

const TAG = /^(struct|union) ([A-Za-z_]\w*) \{$/gm;
const TYPEDEF_OF_UNNAMED = /^\}(?: __attribute__\(\(.*\)\))* ([A-Za-z_]\w*);$/gm;
/** A machine whose compiler lays out structs as the BPF target does, where pointers are as wide; and one where they are not. */
const MACHINES = { 8: 'x86_64-linux-gnu', 4: 'arm-linux-gnueabihf' } as const;

/**
 * How a compiler lays out every struct, union and unnamed typedef of a header: clang writes DWARF (its BTF takes twenty times
 * as long), pahole makes BTF of it, bpftool reads that.
 */
export function compiledLayouts(header: string, pointerBytes: 4 | 8): ReadLayout[] {
  return inFolder((folder) => {
    const tags = [...header.matchAll(TAG)].map(([, kind, name]) => `${kind} ${name}`);
    const names = [...tags, ...[...header.matchAll(TYPEDEF_OF_UNNAMED)].map(([, name]) => name)];
    // Only what a variable uses comes into DWARF.
    const uses = names.map((name, index) => `${name} (*keep_${index})[1];`).join('\n');
    writeFileSync(join(folder, 'layout.c'), `${header}\n${uses}\n`);
    const options = ['-target', MACHINES[pointerBytes], '-O0', '-g', '-w', '-c', 'layout.c', '-o', 'layout.o'];
    execFileSync('clang', options, { cwd: folder, stdio: 'pipe' });
    execFileSync('pahole', ['--btf_encode_detached=layout.btf', 'layout.o'], { cwd: folder, stdio: 'pipe' });
    return readLayouts(join(folder, 'layout.btf'), pointerBytes);
  });
}

/**
 * Has clang's BPF target check layouts by name, all but bitfields, whose offsets C cannot ask for: `kernel` knows which they
 * are. Throws what clang said.
 */
export function assertLayoutsForBpf(
  header: string,
  layouts: readonly ReadLayout[],
  kernel: readonly ReadLayout[],
): void {
  const bitfields = new Set(
    kernel.flatMap(({ name, members }) =>
      members.filter(({ isBitfield }) => isBitfield).map((member) => `${name} ${member.name}`),
    ),
  );
  const asserts = layouts.flatMap(({ name, bytes, members }) => {
    const type = name.replace(/^typedef /, '');
    const asked = members.filter((member) => !bitfields.has(`${kernelName(name)} ${member.name}`));
    return [
      `_Static_assert(sizeof(${type}) == ${bytes}, "");`,
      ...asked.map(
        (member) => `_Static_assert(__builtin_offsetof(${type}, ${member.name}) == ${member.offsetBits / 8}, "");`,
      ),
    ];
  });
  const options = ['-target', 'bpf', '-fsyntax-only', '-w', '-x', 'c', '-'];
  const input = `${header}\n${asserts.join('\n')}\n`;
  execFileSync('clang', options, { input, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** The layouts that bpftool reads in a blob of BTF or in an object. */
export function layoutsOfBytes(bytes: Uint8Array, pointerBytes: 4 | 8): ReadLayout[] {
  return inFolder((folder) => {
    const file = join(folder, 'types');
    writeFileSync(file, bytes);
    return readLayouts(file, pointerBytes);
  });
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-header-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
