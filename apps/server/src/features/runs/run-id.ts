import { randomInt } from 'node:crypto';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const RANDOM_CHARS = 16;

/** `r` and 16 of a-z 0-9 (82 random bits): one topic level, and what a run is called on its device. */
export function mintRunId(): string {
  return `r${Array.from({ length: RANDOM_CHARS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')}`;
}
