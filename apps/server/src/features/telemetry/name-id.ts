/**
 * One spelling per id of a device's dictionary: decimal, as columns and labels have them. Kernel addresses may come in
 * hex, told by `0x` or a letter.
 */
export function normalNameId(kind: string, id: string): string {
  const isHex =
    kind === 'ksym' && (/^0x[0-9a-f]{1,16}$/i.test(id) || (/^[0-9a-f]{1,16}$/i.test(id) && /[a-f]/i.test(id)));
  return isHex ? BigInt(`0x${id.replace(/^0x/i, '')}`).toString() : id;
}

/** An address as the stack table keeps it (two's complement) in the spelling of `normalNameId`. */
export function addressId(frame: bigint): string {
  return BigInt.asUintN(64, frame).toString();
}

export function addressText(frame: bigint): string {
  return `0x${BigInt.asUintN(64, frame).toString(16)}`;
}
