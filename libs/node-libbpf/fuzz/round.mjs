// What round `index` of a seed does. It depends on the two numbers and the corpus alone.
import { createHash } from 'node:crypto';
import { applyEdits } from './mutate.mjs';
import { Random } from './random.mjs';

const WHAT = [[88, 'object'], [7, 'btf'], [5, 'program']]; // prettier-ignore

/** `only` overrides the edits, for making a finding smaller. What comes after them is drawn from a stream of its own. */
export function drawRound(corpus, seed, index, only) {
  const random = new Random(seed, index, 1);
  const what = random.weighted(WHAT);
  const base = corpus.pick(random, what);
  const kernel = random.chance(0.1) ? 'real' : 'simulated';
  const edits = base.mutator.draw(random);
  return { what, base: base.name, kernel, edits: only ?? edits, random: new Random(seed, index, 2) };
}

export function inputOf(corpus, { base, edits }) {
  return applyEdits(corpus.named(base).bytes, edits);
}

/** The same for two runs that had the same inputs. */
export function digestOf(corpus, seed, rounds) {
  const hash = createHash('sha256');
  for (let index = 0; index < rounds; index += 1) {
    const round = drawRound(corpus, seed, index);
    hash.update(`${round.what} ${round.base} ${round.kernel} ${round.random.u32()}\n`).update(inputOf(corpus, round));
  }
  return hash.digest('hex');
}
