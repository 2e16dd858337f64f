// Numbers that depend on nothing but a seed, so that a finding can be made again.

/** xoshiro128**, seeded through splitmix32: small, and without visible patterns between neighbouring seeds. */
export class Random {
  #state;

  /** @param {...number} seeds each a 32-bit number; other orders and counts give other streams */
  constructor(...seeds) {
    let mixed = 0x9e3779b9;
    const next = (word) => {
      mixed = (mixed + 0x9e3779b9 + word) | 0;
      let z = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return (z ^ (z >>> 16)) >>> 0;
    };
    for (const seed of seeds) mixed ^= next(seed);
    this.#state = [next(1), next(2), next(3), next(4)];
  }

  /** 0 … 2³²−1 */
  u32() {
    const s = this.#state;
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 11);
    return result;
  }

  /** 0 … limit−1; limit ≤ 2³² */
  below(limit) {
    return Math.floor((this.u32() / 2 ** 32) * limit);
  }

  chance(probability) {
    return this.u32() / 2 ** 32 < probability;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  /** One of [weight, value] pairs. */
  weighted(pairs) {
    let left = this.below(pairs.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of pairs) {
      if (left < weight) return value;
      left -= weight;
    }
    return pairs.at(-1)[1];
  }
}

function rotate(word, by) {
  return (word << by) | (word >>> (32 - by));
}
