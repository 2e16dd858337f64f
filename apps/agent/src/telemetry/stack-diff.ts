/**
 * Stacks of a BPF_MAP_TYPE_STACK_TRACE that were not sent yet. An id can come to mean another stack (BPF_F_REUSE_STACKID),
 * so what was sent is remembered with its addresses.
 */
export class StackDiff {
  private known = new Map<number, Buffer>();

  constructor(private readonly valueBytes: number) {}

  take(
    entries: { count: number; keys: Buffer; values: Buffer },
    whole: boolean,
  ): { entries: Buffer; addresses: Buffer } {
    const next = new Map<number, Buffer>();
    const heads: Buffer[] = [];
    const bodies: Buffer[] = [];
    for (let index = 0; index < entries.count; index++) {
      const id = entries.keys.readUInt32LE(index * 4);
      const stack = trim(entries.values.subarray(index * this.valueBytes, (index + 1) * this.valueBytes));
      if (next.has(id)) continue;
      const same = this.known.get(id)?.equals(stack) ?? false;
      next.set(id, same ? (this.known.get(id) as Buffer) : Buffer.from(stack));
      if (same && !whole) continue;
      const head = Buffer.alloc(8);
      head.writeUInt32LE(id, 0);
      head.writeUInt32LE(stack.length / 8, 4);
      heads.push(head);
      bodies.push(stack);
    }
    this.known = next;
    return { entries: Buffer.concat(heads), addresses: Buffer.concat(bodies) };
  }
}

/** The kernel fills what is left of a value with zeros. */
function trim(value: Buffer): Buffer {
  let end = 0;
  while (end + 8 <= value.length && value.readBigUInt64LE(end) !== 0n) end += 8;
  return value.subarray(0, end);
}
