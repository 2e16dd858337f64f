/** What a CO-RE relocation asks of the target kernel, by its number in `enum bpf_core_relo_kind`. */
export const RELOCATION_KINDS = [
  'field_byte_offset',
  'field_byte_size',
  'field_exists',
  'field_signed',
  'field_lshift_u64',
  'field_rshift_u64',
  'type_id_local',
  'type_id_target',
  'type_exists',
  'type_size',
  'enumval_exists',
  'enumval_value',
  'type_matches',
] as const;

export type RelocationKind = (typeof RELOCATION_KINDS)[number];

/** One record of `.BTF.ext`, as the compiler wrote it. Resolution against a kernel's BTF belongs beside this file. */
export interface Relocation {
  readonly section: string;
  /** Byte offset of the instruction inside the section. */
  readonly offset: number;
  readonly typeId: number;
  /** Access path such as `0:1:2`: indexes of members and array elements. */
  readonly access: string;
  readonly kind: RelocationKind;
}
