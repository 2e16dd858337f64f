import type { Btf } from '../types/btf.js';
import type { BtfType, CompositeType, EnumType } from '../types/types.js';
import { isEnum } from './compatible.js';
import { essentialName } from './names.js';
import { SpecError } from './spec.js';
import type { StepBudget } from './step-budget.js';

const DEPTH_MAX = 32;

/**
 * The strict question of `bpf_core_type_matches`: integers agree in size and sign, every member of the local struct is in the
 * target under the same name with a matching type, every enumerator is there by name. Behind a pointer only the name and the
 * kind of a composite count, and a forward declaration is as good as the thing itself.
 * @throws SpecError when types are nested too deeply, as the loader gives up then; BtfError BTF_LIMIT
 */
export function typesMatch(local: Btf, localId: number, target: Btf, targetId: number, budget: StepBudget): boolean {
  return new Comparison(local, target, budget).types(localId, targetId, false, 0);
}

class Comparison {
  constructor(
    readonly local: Btf,
    readonly target: Btf,
    readonly budget: StepBudget,
  ) {}

  types(localId: number, targetId: number, insidePointer: boolean, depth: number): boolean {
    let behindPointer = insidePointer;
    let a = this.local.resolve(localId);
    let b = this.target.resolve(targetId);
    for (let step = 0; step < DEPTH_MAX && depth < DEPTH_MAX; step += 1) {
      this.budget.spend();
      if (!sameName(a.name, b.name)) return false;
      if (a.kind === 'ptr' && b.kind === 'ptr') {
        behindPointer = true;
      } else if (a.kind === 'array' && b.kind === 'array') {
        if (a.count !== b.count) return false;
      } else if (a.kind === 'func_proto' && b.kind === 'func_proto') {
        const others = b.parameters;
        if (a.parameters.length !== others.length) return false;
        const alike = a.parameters.every(({ typeId }, index) =>
          this.types(typeId, others[index]?.typeId ?? 0, behindPointer, depth + 1),
        );
        if (!alike) return false;
        a = this.local.resolve(a.returnTypeId);
        b = this.target.resolve(b.returnTypeId);
        continue;
      } else {
        return this.#leaves(a, b, behindPointer, depth);
      }
      a = this.local.resolve(a.typeId);
      b = this.target.resolve(b.typeId);
    }
    throw new SpecError(`a match of types is nested deeper than ${DEPTH_MAX}`);
  }

  #leaves(a: BtfType, b: BtfType, behindPointer: boolean, depth: number): boolean {
    switch (a.kind) {
      case 'void':
        return b.kind === 'void';
      case 'fwd':
        if (b.kind === 'fwd') return a.of === b.of;
        return behindPointer && b.kind === a.of;
      case 'enum':
      case 'enum64':
        return isEnum(b) && this.#enums(a, b as EnumType);
      case 'struct':
      case 'union':
        if (behindPointer) return b.kind === a.kind || (b.kind === 'fwd' && b.of === a.kind);
        return b.kind === a.kind && this.#composites(a, b as CompositeType, depth);
      case 'int':
        return b.kind === 'int' && a.bytes === b.bytes && a.signed === b.signed;
      default:
        return false;
    }
  }

  #enums(a: EnumType, b: EnumType): boolean {
    this.budget.spend(a.values.length + b.values.length);
    if (a.bytes !== b.bytes || a.values.length > b.values.length) return false;
    const names = new Set(b.values.map(({ name }) => essentialName(name)));
    return a.values.every(({ name }) => names.has(essentialName(name)));
  }

  #composites(a: CompositeType, b: CompositeType, depth: number): boolean {
    if (a.members.length > b.members.length) return false;
    return a.members.every((member) =>
      b.members.some((other) => {
        this.budget.spend();
        return sameName(member.name, other.name) && this.types(member.typeId, other.typeId, false, depth + 1);
      }),
    );
  }
}

function sameName(local: string, target: string): boolean {
  return target === '' ? local === '' : essentialName(local) === essentialName(target);
}
