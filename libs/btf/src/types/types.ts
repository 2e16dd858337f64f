/** The kinds of BTF, by their number in `btf_type.info`. Number 0 is `void`, which has no record. */
export const BTF_KINDS = [
  'void',
  'int',
  'ptr',
  'array',
  'struct',
  'union',
  'enum',
  'fwd',
  'typedef',
  'volatile',
  'const',
  'restrict',
  'func',
  'func_proto',
  'var',
  'datasec',
  'float',
  'decl_tag',
  'type_tag',
  'enum64',
] as const;

export type BtfKind = (typeof BTF_KINDS)[number];

interface TypeBase<K extends BtfKind> {
  readonly kind: K;
  readonly id: number;
  /** Empty for anonymous types. */
  readonly name: string;
}

export type VoidType = TypeBase<'void'>;

export interface IntType extends TypeBase<'int'> {
  readonly bytes: number;
  readonly bits: number;
  readonly offsetBits: number;
  readonly signed: boolean;
  readonly isBool: boolean;
  readonly isChar: boolean;
}

/** `ptr`, `typedef`, `volatile`, `const` and `restrict`: a name or a qualifier around one other type. */
export interface ReferenceType extends TypeBase<'ptr' | 'typedef' | 'volatile' | 'const' | 'restrict'> {
  readonly typeId: number;
}

/** A word of the compiler's about what a pointer points to: `user`, `percpu`, `rcu`. */
export interface TypeTagType extends TypeBase<'type_tag'> {
  readonly typeId: number;
  /**
   * The name is a whole attribute, such as `address_space(1)`, and not one in `btf_type_tag("…")`: the kind flag, which
   * kernels know since 6.15 (53ee0d66d7a6 "bpf: Allow kind_flag for BTF type and decl tags").
   */
  readonly isAttribute: boolean;
}

export interface ArrayType extends TypeBase<'array'> {
  readonly typeId: number;
  readonly indexTypeId: number;
  /** 0 for a flexible array member. */
  readonly count: number;
}

export interface Member {
  /** Empty for an anonymous struct, union or bitfield. */
  readonly name: string;
  readonly typeId: number;
  readonly offsetBits: number;
  /** Width of a bitfield, 0 for an ordinary member. */
  readonly bitfieldBits: number;
}

export interface CompositeType extends TypeBase<'struct' | 'union'> {
  readonly bytes: number;
  readonly members: readonly Member[];
}

export interface EnumValue {
  readonly name: string;
  readonly value: bigint;
}

export interface EnumType extends TypeBase<'enum' | 'enum64'> {
  readonly bytes: number;
  readonly signed: boolean;
  readonly values: readonly EnumValue[];
}

export interface ForwardType extends TypeBase<'fwd'> {
  readonly of: 'struct' | 'union';
}

export interface FunctionType extends TypeBase<'func'> {
  readonly typeId: number;
  readonly linkage: 'static' | 'global' | 'extern';
}

export interface Parameter {
  readonly name: string;
  /** 0 with an empty name is `...`. */
  readonly typeId: number;
}

export interface FunctionPrototype extends TypeBase<'func_proto'> {
  readonly returnTypeId: number;
  readonly parameters: readonly Parameter[];
}

export interface VariableType extends TypeBase<'var'> {
  readonly typeId: number;
  readonly linkage: 'static' | 'global' | 'extern';
}

export interface SectionVariable {
  readonly typeId: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface DataSectionType extends TypeBase<'datasec'> {
  readonly bytes: number;
  readonly variables: readonly SectionVariable[];
}

export interface FloatType extends TypeBase<'float'> {
  readonly bytes: number;
}

export interface DeclTagType extends TypeBase<'decl_tag'> {
  readonly typeId: number;
  /** −1 when the tag is on the type itself, else the index of the member or parameter. */
  readonly componentIndex: number;
  /** As with {@link TypeTagType}. */
  readonly isAttribute: boolean;
}

export type BtfType =
  | VoidType
  | IntType
  | ReferenceType
  | TypeTagType
  | ArrayType
  | CompositeType
  | EnumType
  | ForwardType
  | FunctionType
  | FunctionPrototype
  | VariableType
  | DataSectionType
  | FloatType
  | DeclTagType;

export type TypeOfKind<K extends BtfKind> = BtfType & { readonly kind: K };
