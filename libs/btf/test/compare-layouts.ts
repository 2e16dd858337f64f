import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseElf } from '../src/elf/elf.js';
import type { Btf } from '../src/types/btf.js';
import { parseBtf } from '../src/types/parse.js';
import type { CompositeType } from '../src/types/types.js';

const TAG = /^(struct|union) ([A-Za-z_]\w*) \{$/gm;

/**
 * Compiles a header with clang, and reads back from the compiler's own BTF how every struct and union was laid out: by
 * `struct name`, its bytes and the members with their bits.
 */
export function compiledLayouts(header: string): Map<string, Set<string>> {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-header-'));
  try {
    const names = [...header.matchAll(TAG)].map(([, kind, name]) => `${kind} ${name}`);
    // Only a variable brings a type into BTF with all its members, and not by a pointer that a member has too.
    const uses = names.map((name, index) => `${name} (*keep_${index})[1];`).join('\n');
    writeFileSync(join(folder, 'layout.c'), `${header}\n${uses}\n`);
    const options = ['-target', 'bpf', '-O0', '-g', '-w', '-c', 'layout.c', '-o', 'layout.o'];
    execFileSync('clang', options, { cwd: folder, stdio: 'pipe' });
    const elf = parseElf(new Uint8Array(readFileSync(join(folder, 'layout.o'))));
    return layoutsOf(parseBtf(elf.section('.BTF')?.data ?? new Uint8Array()));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether a compiler takes a header; throws what it said if not. */
export function checkSyntax(header: string): void {
  const options = ['-target', 'arm-linux-gnueabihf', '-fsyntax-only', '-w', '-x', 'c', '-'];
  execFileSync('clang', options, { input: header, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Every layout that types of one name have; flavours, as a header makes them for several of one name, count as that name. */
export function layoutsOf(btf: Btf): Map<string, Set<string>> {
  const layouts = new Map<string, Set<string>>();
  for (const type of btf.types()) {
    if ((type.kind !== 'struct' && type.kind !== 'union') || type.name === '') continue;
    const key = `${type.kind} ${type.name.replace(/___\d+$/, '')}`;
    const known = layouts.get(key) ?? new Set();
    layouts.set(key, known.add(`${type.bytes}: ${membersOf(btf, type, 0).join(' ')}`));
  }
  return layouts;
}

function membersOf(btf: Btf, type: CompositeType, baseBits: number): string[] {
  return type.members.flatMap(({ name, typeId, offsetBits, bitfieldBits }) => {
    const inner = btf.resolve(typeId);
    if (name === '' && (inner.kind === 'struct' || inner.kind === 'union')) {
      return membersOf(btf, inner, baseBits + offsetBits);
    }
    if (name.startsWith('__filler_')) return [];
    const width = bitfieldBits === 0 ? btf.sizeOf(typeId) * 8 : bitfieldBits;
    return [`${name}@${baseBits + offsetBits}+${width}`];
  });
}
