/** Keeps the `entriesMax` most recently used; entries older than `ttlMs` are not answered. */
export class BoundedCache<K, V> {
  private readonly entries = new Map<K, { readonly value: V; readonly at: number }>();

  constructor(
    private readonly entriesMax: number,
    private readonly ttlMs: number,
    private readonly nowMs: () => number,
  ) {}

  get(key: K): V | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    if (this.nowMs() - entry.at >= this.ttlMs) return undefined;
    // A Map keeps the order of insertion, so what was used last stands last.
    this.entries.set(key, entry);
    return entry.value;
  }

  set(key: K, value: V): void {
    this.entries.delete(key);
    this.entries.set(key, { value, at: this.nowMs() });
    if (this.entries.size <= this.entriesMax) return;
    const oldest = this.entries.keys().next();
    if (!oldest.done) this.entries.delete(oldest.value);
  }

  delete(key: K): void {
    this.entries.delete(key);
  }
}
