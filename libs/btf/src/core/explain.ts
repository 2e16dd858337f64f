import type { Btf } from '../types/btf.js';
import type { BtfType, CompositeType } from '../types/types.js';
import type { Mismatch } from './match.js';
import { essentialName } from './names.js';
import type { FieldChange } from './renames.js';
import { FIELD_CHANGES, TYPE_CHANGES } from './renames.js';
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
  return `there is no type \`${typeName(local.btf, local.rootTypeId)}\` in this kernel${typeChange(target, type.kind, name)}`;
}

/** What became of a type, or what it was called before there was one of that name. */
function typeChange(target: Btf, kind: BtfType['kind'], name: string): string {
  const has = (other: string | undefined): boolean => other !== undefined && target.idsByName(kind, other).length > 0;
  const gone = TYPE_CHANGES.find((change) => change.type === name && (change.now === undefined || has(change.now)));
  if (gone !== undefined) return `; since ${gone.since} ${gone.hint ?? `it is \`${gone.now}\``}`;
  const later = TYPE_CHANGES.find((change) => change.now === name && has(change.type));
  return later === undefined ? '' : `; it came with ${later.since}, and before it there is \`${later.type}\``;
}

/** Why the path could not be walked, said about the first candidate. */
export function explainMismatch(local: AccessSpec, target: Btf, mismatch: Mismatch): string {
  const accessor = local.accessors[mismatch.at];
  const before = specPath({ ...local, accessors: local.accessors.slice(0, mismatch.at) });
  const root = essentialName(local.btf.typeById(local.rootTypeId).name);
  const holder = withoutFlavour(before, root);
  const composite = local.btf.typeById(accessor?.typeId ?? 0);
  const changes = (typeId: number): readonly FieldChange[] =>
    changesOf(essentialName(composite.name), target.resolve(typeId).name);
  switch (mismatch.why) {
    case 'no_member':
      return explainMember(target, mismatch.typeId, holder, accessor?.name ?? '', changes(mismatch.typeId));
    case 'incompatible': {
      const member = (composite as CompositeType).members[accessor?.index ?? 0];
      const expected = describe(local.btf.resolve(member?.typeId ?? 0));
      const found = describe(target.resolve(mismatch.found ?? 0));
      const retyped = changes(mismatch.typeId).find((change) => change.retyped && change.field === accessor?.name);
      const when = retyped === undefined ? '' : `; since ${retyped.since} it is ${retyped.hint}`;
      return `\`${holder}.${accessor?.name}\` is ${found} in this kernel, and the program expects ${expected}${when}`;
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

/** What is known of a type by the name that the program or the kernel has for it. */
function changesOf(...names: readonly string[]): readonly FieldChange[] {
  return FIELD_CHANGES.filter(({ type }) => names.includes(type));
}

function explainMember(
  target: Btf,
  typeId: number,
  holder: string,
  field: string,
  changes: readonly FieldChange[],
): string {
  const type = target.resolve(typeId);
  if (type.kind !== 'struct' && type.kind !== 'union')
    return `\`${holder}\` is ${describe(type)} in this kernel, not a struct`;
  const names = memberNames(target, type);
  const gone = `\`${holder}.${field}\` is gone in this kernel`;
  const known = changes.filter((change) => change.field === field);
  const renamed = known.find(({ now }) => now !== undefined && names.has(now));
  if (renamed !== undefined) return `${gone}; it has \`${renamed.now}\` (since ${renamed.since})${suffix(renamed)}`;
  const moved = known.find(({ now, retyped }) => now === undefined && retyped === undefined);
  if (moved !== undefined) return `${gone} (since ${moved.since})${suffix(moved)}`;
  const later = changes.find(({ now, field: before }) => now === field && names.has(before));
  if (later !== undefined) {
    return `\`${holder}.${field}\` came with ${later.since}, and this kernel has \`${later.field}\` instead`;
  }
  const like = [`__${field}`, `_${field}`, field.replace(/^_+/, '')].find((name) => name !== field && names.has(name));
  if (like !== undefined) return `${gone}; it has \`${like}\``;
  return `\`${holder}\` has no \`${field}\` in this kernel`;
}

function suffix({ hint }: FieldChange): string {
  return hint === undefined ? '' : `: ${hint}`;
}

const NAMES = new WeakMap<CompositeType, Set<string>>();

function memberNames(btf: Btf, type: CompositeType): Set<string> {
  const known = NAMES.get(type);
  if (known !== undefined) return known;
  const names = new Set<string>();
  NAMES.set(type, names);
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
