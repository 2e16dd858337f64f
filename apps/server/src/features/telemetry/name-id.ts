/**
 * One spelling per id of a device's dictionary. Kernel addresses are hex without prefix or leading zeros, whoever wrote
 * them; other ids are decimal and stay as they are.
 */
export function normalNameId(kind: string, id: string): string {
  if (kind !== 'ksym') return id;
  const hex = /^(?:0x)?0*([0-9a-f]{1,16})$/i.exec(id)?.[1];
  return hex?.toLowerCase() ?? id;
}

/** An address as the stack table keeps it (two's complement) in the spelling of `normalNameId`. */
export function addressId(frame: bigint): string {
  return BigInt.asUintN(64, frame).toString(16);
}
