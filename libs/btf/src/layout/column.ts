/**
 * - `int`, `uint`: up to 64 bits, bitfields included; pointers are `uint` of 64.
 * - `text`: an array of `char`; `bytes`: an array of other one-byte integers; `array`: an array of wider numbers.
 * - `opaque`: nothing a column can hold by itself (a union without a chosen arm, an array of structs, a 128-bit integer).
 */
export type ColumnKind = 'int' | 'uint' | 'bool' | 'float' | 'enum' | 'text' | 'bytes' | 'array' | 'opaque';

export interface ArrayElement {
  readonly kind: 'int' | 'uint' | 'bool' | 'float';
  readonly bytes: number;
  readonly count: number;
}

/** One leaf of a struct. */
export interface Column {
  /** `a.b` becomes `a_b`; as in C, not yet lower-cased. */
  readonly name: string;
  /** Dotted path of members; anonymous structs and unions leave no trace in it. */
  readonly path: string;
  readonly typeId: number;
  readonly offsetBits: number;
  /** 0 for a flexible array at the end of a struct. */
  readonly bits: number;
  readonly kind: ColumnKind;
  readonly bitfield: boolean;
  /** Trailing `T name[]`: it reaches to the end of the record. */
  readonly flexible: boolean;
  /** For `enum`: the value in decimal → its name. */
  readonly enumNames?: Readonly<Record<string, string>>;
  /** For `enum`: whether values below zero are possible. */
  readonly signed?: boolean;
  readonly element?: ArrayElement;
  /** For `opaque`: why, in words. */
  readonly reason?: string;
}
