/** Numbers of 32 bits in an array that doubles when it is full, so that nothing is allocated for one. */
export class NumberList {
  length = 0;
  #items = new Uint32Array(1 << 10);

  push(value: number): void {
    this.#makeRoom(1);
    this.#items[this.length++] = value;
  }

  append(values: Uint32Array): void {
    this.#makeRoom(values.length);
    this.#items.set(values, this.length);
    this.length += values.length;
  }

  /** 0 for what is not there. */
  at(index: number): number {
    return this.#items[index] ?? 0;
  }

  /** Gives back what doubling took too much. */
  trim(): void {
    this.#items = this.#items.slice(0, this.length);
  }

  #makeRoom(more: number): void {
    const needed = this.length + more;
    if (needed <= this.#items.length) return;
    const larger = new Uint32Array(Math.max(2 * this.#items.length, needed));
    larger.set(this.#items);
    this.#items = larger;
  }

  get bytes(): number {
    return this.#items.byteLength;
  }
}
