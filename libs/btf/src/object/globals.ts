import type { ElfFile, ElfSection } from '../elf/elf.js';
import { SECTION_FLAG, SECTION_TYPE } from '../elf/elf.js';
import { BtfError } from '../error.js';
import type { Btf } from '../types/btf.js';
import type { DataSection, GlobalVariable } from './types.js';

/** All data sections together; they become locked kernel memory. */
const DATA_BYTES_MAX = 16 * 1024 * 1024;
const GLOBALS_MAX = 10_000;
/** The sections that libbpf turns into maps. */
const DATA_SECTION = /^\.(rodata|data|bss)(\..*)?$/;

/**
 * The sections of global data, with their initial content.
 * @throws BtfError BTF_LIMIT
 */
export function dataSectionsOf(elf: ElfFile): DataSection[] {
  let total = 0;
  const sections: DataSection[] = [];
  for (const section of elf.sections) {
    if (!isData(section)) continue;
    total += section.bytes;
    if (total > DATA_BYTES_MAX) throw new BtfError('BTF_LIMIT', `more than ${DATA_BYTES_MAX} bytes of global data`);
    const image = section.type === SECTION_TYPE.nobits ? new Uint8Array(section.bytes) : new Uint8Array(section.data);
    sections.push({ name: section.name, bytes: section.bytes, readOnly: section.name.startsWith('.rodata'), image });
  }
  return sections;
}

function isData(section: ElfSection): boolean {
  const holdsBytes = section.type === SECTION_TYPE.progbits || section.type === SECTION_TYPE.nobits;
  return (
    holdsBytes && section.bytes > 0 && (section.flags & SECTION_FLAG.alloc) !== 0 && DATA_SECTION.test(section.name)
  );
}

/**
 * The variables of one data section, at the offsets that BTF says, which are right once a loader has filled them in, or that
 * `offsetOf` knows better. Left out are static constants that are elsewhere: LLVM puts those of 4 to 32 bytes into mergeable
 * sections (`.rodata.cst16`), and its BTF says `.rodata`, offset 0.
 * @throws BtfError OBJECT_INVALID, BTF_LIMIT, BTF_NOT_FOUND
 */
export function variablesOf(
  btf: Btf,
  section: { readonly name: string; readonly bytes: number },
  offsetOf: (name: string) => number | undefined = () => undefined,
): GlobalVariable[] {
  const type = btf.findByName('datasec', section.name);
  if (type === undefined) return [];
  if (type.variables.length > GLOBALS_MAX) throw new BtfError('BTF_LIMIT', `more than ${GLOBALS_MAX} global variables`);
  const all = type.variables.map(({ typeId, offset, bytes }) => {
    const variable = btf.typeById(typeId);
    if (variable.kind !== 'var') throw new BtfError('OBJECT_INVALID', `${section.name} holds more than variables`);
    const { name, linkage } = variable;
    const tunable = section.name.startsWith('.rodata') && isConstVolatile(btf, variable.typeId);
    const at = offsetOf(name) ?? offset;
    return { name, section: section.name, offset: at, bytes, typeId: variable.typeId, linkage, tunable };
  });
  const inside = all.filter(({ name, offset, bytes, linkage }) => {
    if (offset + bytes <= section.bytes) return true;
    if (linkage === 'static') return false;
    throw new BtfError('OBJECT_INVALID', `variable ${name} reaches past the end of ${section.name}`);
  });
  return withoutStrays(inside);
}

/** Of two variables in one place, a static one is not really there. */
function withoutStrays(variables: readonly GlobalVariable[]): GlobalVariable[] {
  const strays = new Set<GlobalVariable>();
  const ordered = [...variables].sort((a, b) => a.offset - b.offset || Number(isStatic(a)) - Number(isStatic(b)));
  let furthest: GlobalVariable | undefined;
  for (const variable of ordered) {
    if (furthest !== undefined && variable.offset < furthest.offset + furthest.bytes) {
      const stray = [variable, furthest].find(isStatic);
      if (stray !== undefined) strays.add(stray);
      if (stray === variable) continue;
    }
    furthest = variable;
  }
  return variables.filter((variable) => !strays.has(variable));
}

function isStatic({ linkage }: GlobalVariable): boolean {
  return linkage === 'static';
}

/**
 * The variables of the data sections. The compiler leaves offsets of global variables to the linker, so they come from
 * the symbols; those of static variables whose symbol has another name are already in BTF.
 * @throws BtfError OBJECT_INVALID, BTF_LIMIT
 */
export function globalsOf(elf: ElfFile, btf: Btf, sections: readonly DataSection[]): GlobalVariable[] {
  const globals: GlobalVariable[] = [];
  for (const section of sections) {
    const elfSection = elf.section(section.name);
    if (elfSection === undefined) continue;
    const symbols = new Map(
      elf.symbols.filter((symbol) => symbol.section === elfSection.index).map((symbol) => [symbol.name, symbol]),
    );
    globals.push(...variablesOf(btf, section, (name) => symbols.get(name)?.value));
    if (globals.length > GLOBALS_MAX) throw new BtfError('BTF_LIMIT', `more than ${GLOBALS_MAX} global variables`);
  }
  return globals;
}

/** Qualifiers come in any order; those of an array are on its elements. */
function isConstVolatile(btf: Btf, typeId: number): boolean {
  const found = new Set<string>();
  let type = btf.typeById(typeId);
  for (let step = 0; step < 16; step += 1) {
    if (type.kind === 'const' || type.kind === 'volatile') found.add(type.kind);
    else if (type.kind !== 'array' && type.kind !== 'typedef') break;
    type = btf.typeById(type.typeId);
  }
  return found.size === 2;
}
