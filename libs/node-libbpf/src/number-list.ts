/** Numbers of 32 bits in an array that doubles when it is full, so that nothing is allocated for one. */
export class NumberList {
  length = 0;
  #items = new Uint32Array(1 << 10);

  push(value: number): void {
    if (this.length === this.#items.length) {
      const larger = new Uint32Array(2 * this.#items.length);
      larger.set(this.#items);
      this.#items = larger;
    }
    this.#items[this.length++] = value;
  }

  /** 0 for what is not there. */
  at(index: number): number {
    return this.#items[index] ?? 0;
  }

  /** Gives back what doubling took too much. */
  trim(): void {
    this.#items = this.#items.slice(0, this.length);
  }

  get bytes(): number {
    return this.#items.byteLength;
  }
}
