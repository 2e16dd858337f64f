import type { Btf, BtfType, CompositeType } from '@bpfleet/btf';

const DEPTH_MAX = 8;

/** Whether a struct, union or enum of that name is the kernel's. */
export type IsKernelType = (name: string) => boolean;

/**
 * What is wrong with a struct that leaves the machine: it is read by another machine, years later, so it may hold only
 * types whose meaning and width are the author's own. Each finding is one sentence.
 */
export function layoutFaults(btf: Btf, type: CompositeType, isKernelType: IsKernelType): string[] {
  return membersFaults(btf, type, type.name || '(unnamed)', isKernelType, 0);
}

function membersFaults(
  btf: Btf,
  type: CompositeType,
  path: string,
  isKernelType: IsKernelType,
  depth: number,
): string[] {
  if (depth > DEPTH_MAX) return [`${path} is nested deeper than ${DEPTH_MAX} levels.`];
  const faults = type.kind === 'struct' ? holes(btf, type, path) : [];
  for (const member of type.members) {
    const memberPath = member.name === '' ? path : `${path}.${member.name}`;
    faults.push(...typeFaults(btf, btf.resolve(member.typeId), memberPath, isKernelType, depth));
  }
  return faults;
}

function typeFaults(btf: Btf, type: BtfType, path: string, isKernelType: IsKernelType, depth: number): string[] {
  switch (type.kind) {
    case 'ptr':
      return [`${path} is a pointer: an address of one machine means nothing on another, so store what it points to.`];
    case 'int':
      return isWidthOfTarget(type.name)
        ? [`${path} is a ${type.name}, whose width is the target's: use __u32, __u64 or another type of fixed width.`]
        : [];
    case 'array':
      return typeFaults(btf, btf.resolve(type.typeId), path, isKernelType, depth);
    case 'enum':
    case 'enum64':
      return type.name !== '' && isKernelType(type.name) ? [kernelTypeFault(path, `enum ${type.name}`)] : [];
    case 'struct':
    case 'union':
      if (type.name !== '' && isKernelType(type.name)) return [kernelTypeFault(path, `${type.kind} ${type.name}`)];
      return membersFaults(btf, type, path, isKernelType, depth + 1);
    case 'float':
      return [];
    default:
      return [`${path} is a ${type.kind}, which no record can hold.`];
  }
}

function kernelTypeFault(path: string, name: string): string {
  return `${path} is the kernel's ${name}, whose layout is another machine's: copy its fields into a struct of your own.`;
}

/** `__u64` is `unsigned long long` in vmlinux.h, so a `long` was written by hand or came as size_t. */
function isWidthOfTarget(name: string): boolean {
  return /^(?:unsigned )?long(?: unsigned)?(?: int)?$/.test(name);
}

/** Bytes that no member names would carry whatever lay in memory before. */
function holes(btf: Btf, type: CompositeType, path: string): string[] {
  const faults: string[] = [];
  let endBits = 0;
  let last = '';
  for (const member of type.members) {
    const gap = Math.floor(member.offsetBits / 8) - Math.ceil(endBits / 8);
    if (gap > 0) faults.push(holeFault(path, gap, last === '' ? 'at its beginning' : `after ${last}`));
    const bits = member.bitfieldBits || btf.sizeOf(member.typeId) * 8;
    endBits = Math.max(endBits, member.offsetBits + bits);
    last = member.name || last;
  }
  const tail = type.bytes - Math.ceil(endBits / 8);
  if (tail > 0 && type.members.length > 0) faults.push(holeFault(path, tail, `after ${last}`));
  return faults;
}

function holeFault(path: string, bytes: number, where: string): string {
  return `${path} has ${bytes} unnamed byte${bytes === 1 ? '' : 's'} of padding ${where}: name them, for example \`__u8 pad[${bytes}];\`, and set them to zero.`;
}
