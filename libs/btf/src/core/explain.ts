import type { Btf } from '../types/btf.js';
import type { BtfType, CompositeType } from '../types/types.js';
import type { Mismatch } from './match.js';
import { essentialName } from './names.js';
import { RENAMES } from './renames.js';
import type { AccessSpec } from './spec.js';
import { specPath } from './spec.js';

const NAMED_KINDS: ReadonlySet<string> = new Set(['struct', 'union', 'enum', 'enum64', 'typedef']);
const MEMBERS_SEARCHED_MAX = 4096;

/** `struct task_struct`, `pid_t`: a type as C calls it. */
export function typeName(btf: Btf, typeId: number): string {
  const type = btf.typeById(typeId);
  const name = essentialName(type.name) || '(anonymous)';
  if (type.kind === 'enum64') return `enum ${name}`;
  return type.kind === 'struct' || type.kind === 'union' || type.kind === 'enum' ? `${type.kind} ${name}` : name;
}

/** Why no type of that name could be looked at. */
export function explainNoType(local: AccessSpec, target: Btf): string {
  const type = local.btf.typeById(local.rootTypeId);
  const name = essentialName(type.name);
  for (const kind of ['struct', 'union', 'enum', 'enum64', 'typedef', 'fwd'] as const) {
    if (kind === type.kind || target.idsByName(kind, name).length === 0) continue;
    const there = kind === 'fwd' ? 'only a forward declaration' : `${kind.startsWith('e') ? 'an' : 'a'} ${kind}`;
    return `this kernel has \`${name}\` as ${there}, and the program expects a ${type.kind}`;
  }
  return `there is no type \`${typeName(local.btf, local.rootTypeId)}\` in this kernel`;
}

/** Why the path could not be walked, said about the first candidate. */
export function explainMismatch(local: AccessSpec, target: Btf, mismatch: Mismatch): string {
  const accessor = local.accessors[mismatch.at];
  const before = specPath({ ...local, accessors: local.accessors.slice(0, mismatch.at) });
  const root = essentialName(local.btf.typeById(local.rootTypeId).name);
  const holder = withoutFlavour(before, root);
  switch (mismatch.why) {
    case 'no_member':
      return explainMember(target, mismatch.typeId, holder, accessor?.name ?? '');
    case 'incompatible': {
      const member = (local.btf.typeById(accessor?.typeId ?? 0) as CompositeType).members[accessor?.index ?? 0];
      const expected = describe(local.btf.resolve(member?.typeId ?? 0));
      const found = describe(target.resolve(mismatch.found ?? 0));
      return `\`${holder}.${accessor?.name}\` is ${found} in this kernel, and the program expects ${expected}`;
    }
    case 'no_array':
      return `\`${holder}\` is no array in this kernel`;
    case 'too_short':
      return `\`${holder}\` has only ${mismatch.found} elements in this kernel, and the program wants number ${accessor?.index}`;
    case 'no_enumerator':
      return `\`${typeName(target, mismatch.typeId)}\` has no \`${essentialName(accessor?.name ?? '')}\` in this kernel`;
    case 'other_type':
      return `\`${typeName(target, mismatch.typeId)}\` is another type in this kernel than in the program`;
  }
}

function explainMember(target: Btf, typeId: number, holder: string, field: string): string {
  const type = target.resolve(typeId);
  if (type.kind !== 'struct' && type.kind !== 'union')
    return `\`${holder}\` is ${describe(type)} in this kernel, not a struct`;
  const names = memberNames(target, type);
  const gone = `\`${holder}.${field}\` is gone in this kernel`;
  const known = RENAMES.filter((rename) => rename.type === type.name && rename.field === field);
  const renamed = known.find(({ now }) => now !== undefined && names.has(now));
  if (renamed !== undefined) return `${gone}; it has \`${renamed.now}\` (since ${renamed.since})`;
  const moved = known.find(({ hint }) => hint !== undefined);
  if (moved !== undefined) return `${gone} (since ${moved.since}): ${moved.hint}`;
  const like = [`__${field}`, `_${field}`, field.replace(/^_+/, '')].find((name) => name !== field && names.has(name));
  if (like !== undefined) return `${gone}; it has \`${like}\``;
  return `\`${holder}\` has no \`${field}\` in this kernel`;
}

function memberNames(btf: Btf, type: CompositeType): Set<string> {
  const names = new Set<string>();
  const pending: CompositeType[] = [type];
  for (let seen = 0; pending.length > 0 && seen < MEMBERS_SEARCHED_MAX;) {
    for (const member of (pending.pop() as CompositeType).members) {
      seen += 1;
      if (member.name !== '') names.add(member.name);
      if (member.name !== '' || seen >= MEMBERS_SEARCHED_MAX) continue;
      const inner = btf.resolve(member.typeId);
      if (inner.kind === 'struct' || inner.kind === 'union') pending.push(inner);
    }
  }
  return names;
}

function withoutFlavour(path: string, root: string): string {
  const end = path.search(/[.[]/);
  return end < 0 ? root : root + path.slice(end);
}

function describe(type: BtfType): string {
  switch (type.kind) {
    case 'ptr':
      return 'a pointer';
    case 'int':
      return `an integer of ${type.bytes} bytes`;
    case 'array':
      return 'an array';
    case 'void':
      return 'void';
    default: {
      const article = type.kind.startsWith('e') ? 'an' : 'a';
      return NAMED_KINDS.has(type.kind) && type.name !== ''
        ? `${article} ${type.kind} ${type.name}`
        : `${article} ${type.kind}`;
    }
  }
}
