import type { Btf, BtfType, CompositeType } from '@bpfleet/btf';
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
  checkFollowed(btf);
  for (const type of btf.types()) {
    if ('bytes' in type && type.bytes > typeBytesMax) refuse(`type ${type.id} has ${type.bytes} bytes`);
    if (type.kind === 'datasec') checkVariables(btf, type);
  }
}

/**
 * What libbpf does not look at before it follows types, of an object's or of what stands for a kernel's: names and qualifiers
 * without a count of its steps, what a function returns without asking whether it is there, the storage unit of a bitfield
 * as a divisor, and where a member of a struct_ops lies when it is copied.
 * @throws LibbpfError BPF_OPEN; BtfError
 */
export function checkFollowed(btf: Btf): void {
  const id = btf.endlessChain;
  if (id !== undefined) refuse(`type ${id} is a chain of names and qualifiers without an end`);
  for (const type of btf.types()) {
    if (type.kind === 'func_proto') btf.typeById(type.returnTypeId);
    else if (type.kind === 'struct' || type.kind === 'union') checkMembers(btf, type);
  }
}

function checkMembers(btf: Btf, { id, bytes, members }: CompositeType): void {
  for (const { name, typeId, offsetBits, bitfieldBits } of members) {
    const bits = bitfieldBits || btf.sizeOf(typeId) * 8;
    if (offsetBits + bits > bytes * 8)
      refuse(`member ${name} of type ${id} reaches past the end of its ${bytes} bytes`);
    if (bitfieldBits === 0) continue;
    const unit = btf.resolve(typeId);
    const isNumber = unit.kind === 'int' || unit.kind === 'enum' || unit.kind === 'enum64';
    if (!isNumber || unit.bytes === 0) refuse(`bitfield ${name} of type ${id} is no part of a number`);
  }
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
