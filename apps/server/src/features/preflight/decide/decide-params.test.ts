import { describe, expect, it } from '@jest/globals';
import { ask, like, proof, type Change } from '../testing/question.js';
import { decide } from './decide.js';

const refusedBy = (sentence: string) => ({
  verdict: 'refused' as const,
  reasons: [{ kind: 'verifier', sentence }],
});
const resolution = (word: 'unknown', kind: string) => ({ word, reasons: [{ kind, sentence: `${kind}.` }] });
const tuned = { changedParams: ['old'], params: { old: 1 }, globals: 'tuned' };
const newer = new Date('2026-03-02T12:00:00Z');

describe('what a kernel is said to do with a release and its parameters', () => {
  it.each<[string, string, Change, RegExp]>([
    [
      'takes',
      'it has with these parameters, whatever it made of the default ones and of what is gone',
      {
        release: tuned,
        known: {
          resolution: resolution('unknown', 'poison'),
          proofs: [
            { ...proof, globals: 'tuned' },
            { ...proof, ...refusedBy('no') },
          ],
        },
      },
      /^This very kernel has loaded it with old = 1\.$/,
    ],
    [
      'takes',
      'one of its series has with them',
      { release: tuned, known: { proofs: [{ ...like, globals: 'tuned' }, proof] } },
      /same series has loaded it with old = 1: 6\.1\.0-50-arm64/,
    ],
    [
      'takes',
      'the defaults are asked about, whatever it made of others',
      { known: { proofs: [proof, { ...proof, at: newer, globals: 'tuned', ...refusedBy('no') }] } },
      /^This very kernel has loaded it\.$/,
    ],
    [
      'refuses',
      'what it said with these parameters, whatever it takes by default',
      { release: tuned, known: { proofs: [proof, { ...proof, globals: 'tuned', ...refusedBy('R1 is invalid') }] } },
      /^This kernel refused it with old = 1: R1 is invalid\.$/,
    ],
    [
      'unknown',
      'a parameter may keep it from what is gone',
      { release: tuned, known: { resolution: resolution('unknown', 'poison') } },
      /^poison\. A parameter may/,
    ],
    [
      'unknown',
      'it was loaded with other parameters',
      { release: { ...tuned, changedParams: ['old', 'depth'] } },
      /^It was loaded with the default parameters, and old, depth differ from the default\. This very kernel/,
    ],
    [
      'unknown',
      'one of its series was, with others',
      { release: tuned, known: { proofs: [like] } },
      /with the default parameters, and old differs/,
    ],
    [
      'unknown',
      'it was refused with other parameters',
      { release: tuned, proof: refusedBy('R1 is invalid') },
      /^This kernel refused it with the default parameters, and old differs from the default: R1 is invalid\.$/,
    ],
    [
      'unknown',
      'it refused the defaults, and only one of its series took these',
      {
        release: tuned,
        known: {
          proofs: [
            { ...proof, ...refusedBy('no') },
            { ...like, globals: 'tuned' },
          ],
        },
      },
      /^This kernel refused it with the default parameters, and old differs from the default: no\.$/,
    ],
    [
      'unknown',
      'others than these were asked with',
      { release: tuned, known: { proofs: [{ ...proof, globals: 'otherwise' }] } },
      /^No kernel like it has been asked/,
    ],
    [
      'unknown',
      'the lab could not say with these',
      {
        release: tuned,
        known: {
          proofs: [
            proof,
            { ...proof, globals: 'tuned', verdict: 'unknown', reasons: [{ kind: 'timeout', sentence: 'Late.' }] },
          ],
        },
      },
      /^Late\.$/,
    ],
  ])('%s: %s', (verdict, _, change, sentence) => {
    const answer = decide(ask(change));
    expect([answer.verdict, answer.reasons.map((reason) => reason.sentence).join(' ')]).toEqual([
      verdict,
      expect.stringMatching(sentence),
    ]);
  });
});
