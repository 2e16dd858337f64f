/** The entries of one map as they were last sent, to send only what changed since. Bounded by the map's own size. */
export class MapDiff {
  private known = new Map<string, Buffer>();

  constructor(
    private readonly keyBytes: number,
    private readonly valueBytes: number,
    /** An array has all its entries always; those that were never written to are not there for us. */
    private readonly isArray: boolean,
  ) {}

  /** What changed, what went, or with `whole` everything. The buffers may be reused by the caller afterwards. */
  take(
    entries: { count: number; keys: Buffer; values: Buffer },
    whole: boolean,
  ): { keys: Buffer; values: Buffer; gone: Buffer } {
    const next = new Map<string, Buffer>();
    const keys: Buffer[] = [];
    const values: Buffer[] = [];
    for (let index = 0; index < entries.count; index++) {
      const key = entries.keys.subarray(index * this.keyBytes, (index + 1) * this.keyBytes);
      const value = entries.values.subarray(index * this.valueBytes, (index + 1) * this.valueBytes);
      const name = key.toString('latin1');
      const before = this.known.get(name);
      if (!before && this.isArray && isZero(value)) continue;
      const same = before?.equals(value) ?? false;
      next.set(name, same && before ? before : Buffer.from(value));
      if (same && !whole) continue;
      keys.push(key);
      values.push(value);
    }
    const gone = [...this.known.keys()].filter((name) => !next.has(name)).map((name) => Buffer.from(name, 'latin1'));
    this.known = next;
    return { keys: Buffer.concat(keys), values: Buffer.concat(values), gone: Buffer.concat(gone) };
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
