import { parseElf } from './elf.js';

/** Of what a kernel module says of itself. */
export interface ModuleInfo {
  /** As the kernel calls it; kernels before 4.14 left it out of the file (3e2e857f9c3a). */
  readonly name: string | undefined;
  /** Modules that must be loaded before, with underscores, as the kernel spells them. */
  readonly depends: readonly string[];
}

/**
 * The .modinfo of a kernel module, which is what depmod's index is made of; undefined for any other ELF file.
 * @throws BtfError where it is no ELF file
 */
export function moduleInfo(module: Uint8Array): ModuleInfo | undefined {
  const section = parseElf(module).section('.modinfo');
  if (section === undefined) return undefined;
  const entries = Buffer.from(section.data).toString('latin1').split('\0');
  const value = (key: string): string | undefined =>
    entries.find((entry) => entry.startsWith(`${key}=`))?.slice(key.length + 1);
  const depends = (value('depends') ?? '').split(',').filter((name) => name !== '');
  return { name: value('name'), depends: depends.map((name) => name.replaceAll('-', '_')) };
}
