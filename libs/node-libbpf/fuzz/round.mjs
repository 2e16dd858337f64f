// What round `index` of a seed does. It depends on the two numbers and the corpus alone.
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
