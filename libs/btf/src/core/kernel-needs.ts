import type { BpfObjectFile } from '../object/types.js';

/** What an object asks of the types of the kernel that it is loaded on. */
export interface KernelTypeNeeds {
  /** CO-RE relocations, which a tailored BTF serves as well. */
  readonly relocations: number;
  /**
   * Programs that attach to something by its type id in the running kernel, and functions and variables of the kernel that
   * are used by their type: these need the kernel's own BTF, and nothing replaces it.
   */
  readonly programs: readonly { readonly name: string; readonly section: string }[];
  readonly symbols: readonly string[];
}

/** Types of section by which libbpf attaches to a BTF id (`prog_needs_vmlinux_btf` in libbpf.c 1.7: tracing, LSM, struct_ops). */
const BY_TYPE_ID = /^(tp_btf|fentry|fexit|fmod_ret|fsession|iter|lsm|lsm_cgroup|struct_ops)(\.[a-z]+)?(\/|$)/;

/** A section whose name starts with `?` is left out unless somebody asks for it, so it asks for nothing. */
export function kernelTypeNeeds(object: BpfObjectFile): KernelTypeNeeds {
  return {
    relocations: object.coreRelocations.length,
    programs: object.programs
      .filter(({ section }) => BY_TYPE_ID.test(section))
      .map(({ name, section }) => ({ name, section })),
    symbols: typedSymbols(object),
  };
}

/** Externs in `.ksyms`: functions (kfuncs), and variables that are declared with a type other than void. */
function typedSymbols({ btf }: BpfObjectFile): string[] {
  const section = btf.findByName('datasec', '.ksyms');
  return (section?.variables ?? []).flatMap(({ typeId }) => {
    const type = btf.typeById(typeId);
    if (type.kind === 'func') return [type.name];
    return type.kind === 'var' && btf.resolve(typeId).kind !== 'void' ? [type.name] : [];
  });
}
