/** Stable codes of everything this library refuses. */
export type BtfErrorCode =
  /** The bytes are not an ELF file, or its tables point outside of it. */
  | 'ELF_INVALID'
  /** The BTF header, a type record or the string table is malformed. */
  | 'BTF_INVALID'
  /** The object has no `.BTF` section: it was compiled without `-g`. */
  | 'BTF_MISSING'
  /** A count, size or depth is above what this library is willing to follow. */
  | 'BTF_LIMIT'
  /** A type id, name or member that was asked for is not there. */
  | 'BTF_NOT_FOUND'
  /** A type cannot be laid out: members overlap the end, sizes are unknown, or a type contains itself. */
  | 'BTF_LAYOUT'
  /** A name would have to become code or a column and is not a plain identifier. */
  | 'BTF_IDENTIFIER'
  /** `.maps`, `.BTF.ext` or a data section of a BPF object is malformed. */
  | 'OBJECT_INVALID'
  /** A record is shorter than the struct that it should hold. */
  | 'RECORD_SHORT'
  /** A value that is to be encoded does not fit its type. */
  | 'VALUE_INVALID';

/** Every error this library throws for bad input is one of these. `offset` is in bytes from the start of the structure that was read. */
export class BtfError extends Error {
  override readonly name = 'BtfError';

  constructor(
    readonly code: BtfErrorCode,
    message: string,
    readonly offset?: number,
  ) {
    super(offset === undefined ? message : `${message} (at byte ${offset})`);
  }
}

/** A value that cannot be encoded as its type. */
export class BtfValueError extends BtfError {
  constructor(
    /** Where in the value: `key.addr[3]`. */
    readonly path: string,
    detail: string,
  ) {
    super('VALUE_INVALID', `${path} ${detail}`);
  }
}
