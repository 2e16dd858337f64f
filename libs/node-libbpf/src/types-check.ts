import type { Btf, BtfType } from '@bpfleet/btf';
import { LibbpfError } from './errors.js';
import { declaredNumber } from './map-declaration.js';

/** libbpf keeps sizes in an `int`, where larger ones turn into error numbers that it then takes for pointers. */
const typeBytesMax = 0x7fff_ffff;
const mapTypeStructOps = 26;

/**
 * Refuses types on which libbpf would not end or would go wrong: see object-check.ts.
 * @throws LibbpfError BPF_OPEN; BtfError
 */
export function checkTypes(btf: Btf): void {
  checkChains(btf);
  for (const type of btf.types()) {
    if ('bytes' in type && type.bytes > typeBytesMax) refuse(`type ${type.id} has ${type.bytes} bytes`);
    if (type.kind === 'datasec') checkVariables(btf, type);
  }
}

/** libbpf follows names and qualifiers without a count of its steps. */
export function checkChains(btf: Btf): void {
  const id = btf.endlessChain;
  if (id !== undefined) refuse(`type ${id} is a chain of names and qualifiers without an end`);
}

function refuse(detail: string): never {
  throw new LibbpfError('BPF_OPEN', 'open object', 0, detail);
}

function checkVariables(btf: Btf, section: Extract<BtfType, { kind: 'datasec' }>): void {
  for (const { typeId, bytes } of section.variables) {
    const variable = btf.typeById(typeId);
    // libbpf writes a linkage behind the record of each variable. Functions of .ksyms have none, and it knows.
    const isVariable = variable.kind === 'var' || (variable.kind === 'func' && section.name !== '.kconfig');
    if (!isVariable) refuse(`section ${section.name} holds a ${variable.kind}`);
    if (bytes > typeBytesMax) refuse(`variable ${variable.name} has ${bytes} bytes`);
    if (section.name === '.maps') checkMap(btf, variable.name, btf.resolve(typeId));
  }
}

function checkMap(btf: Btf, name: string, definition: BtfType): void {
  // Pinned by its name, a map would be pinned somewhere else.
  if (name.includes('/')) refuse(`map ${name} has a path for its name`);
  if (definition.kind !== 'struct') return;
  if (declaredNumber(btf, definition, 'type') === mapTypeStructOps) {
    refuse(`map ${name} is declared in .maps with the type struct_ops: such maps are variables of SEC(".struct_ops")`);
  }
}
